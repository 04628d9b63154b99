//! Expressions: the tree, its types, and the program each backend runs.
