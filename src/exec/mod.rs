//! The chunk loop: read, run, merge, finish, and the ledger of it all.
