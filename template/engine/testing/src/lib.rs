//! Starts the built program.
