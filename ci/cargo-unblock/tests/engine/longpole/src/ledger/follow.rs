use std::future::{poll_fn, Future};
use std::pin::pin;

use super::Phase;

pub async fn wait<F: Future>(_phase: Phase, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| future.as_mut().poll(cx)).await
}
