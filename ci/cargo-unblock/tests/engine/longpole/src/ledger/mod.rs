mod follow;

pub use self::follow::wait;

#[derive(Clone, Copy)]
pub enum Phase {
    Other,
}
