//! Has a function that is called as one of the API.

pub fn wait() {
    std::thread::park();
}
