//! One file per shader stem: host parameters and a plain reference function.
