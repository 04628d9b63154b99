//! The job, its lowering to a stage, and its explanation.
