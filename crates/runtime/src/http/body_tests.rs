//! Tests of reading bodies.
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::HeaderValue;
use hyper::body::{Frame, SizeHint};
use proptest::prelude::*;

use super::*;

const LIMITS: BodyLimits = BodyLimits { max_bytes: 10, deadline: Duration::from_secs(5) };

/// A body that comes in these pieces, and then breaks, ends or never ends.
struct Pieces {
    rest: std::vec::IntoIter<Bytes>,
    ending: Ending,
}

#[derive(Clone, Copy, PartialEq)]
enum Ending {
    Complete,
    Broken,
    Never,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match (self.rest.next(), self.ending) {
            (Some(piece), _) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            (None, Ending::Complete) => Poll::Ready(None),
            (None, Ending::Broken) => Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into()))),
            (None, Ending::Never) => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

fn body(pieces: &[&str], ending: Ending) -> Body {
    let rest: Vec<Bytes> = pieces.iter().map(|piece| Bytes::copy_from_slice(piece.as_bytes())).collect();
    Body::new(Pieces { rest: rest.into_iter(), ending })
}

fn announcing(size: u64) -> HeaderMap {
    [(CONTENT_LENGTH, HeaderValue::from(size))].into_iter().collect()
}

#[tokio::test]
async fn a_body_in_one_piece_is_not_copied() {
    let budget = MemoryBudget::new(100);
    let piece = Bytes::from_static(b"whole");
    let read = read_limited(&HeaderMap::new(), Body::from(piece.clone()), &LIMITS, &budget).await.unwrap();
    assert_eq!(read.bytes.as_ptr(), piece.as_ptr());
    assert_eq!(budget.used(), 5);
    drop(read);
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn an_announced_size_over_the_limit_is_refused_before_anything_is_read() {
    let budget = MemoryBudget::new(100);
    let problem = read_limited(&announcing(11), body(&[], Ending::Never), &LIMITS, &budget).await.unwrap_err();
    assert_eq!(problem.code(), "body_too_large");
    assert_eq!(problem.detail_text(), Some("the body has 11 bytes, and 10 are allowed"));
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn a_body_that_grows_over_the_limit_is_refused_there() {
    let budget = MemoryBudget::new(100);
    let problem =
        read_limited(&HeaderMap::new(), body(&["12345", "678901"], Ending::Never), &LIMITS, &budget).await.unwrap_err();
    assert_eq!(problem.code(), "body_too_large");
    assert_eq!(problem.detail_text(), Some("the body has more than the 10 bytes allowed"));
    assert_eq!(budget.used(), 0);
    let exact = read_limited(&HeaderMap::new(), body(&["12345", "67890"], Ending::Complete), &LIMITS, &budget).await;
    assert_eq!(exact.unwrap().bytes, "1234567890");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let budget = MemoryBudget::new(100);
    let began = Instant::now();
    let problem = read_limited(&announcing(9), body(&["123"], Ending::Never), &LIMITS, &budget).await.unwrap_err();
    assert_eq!(problem.code(), "body_timeout");
    assert_eq!(began.elapsed(), LIMITS.deadline);
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn a_body_that_breaks_is_incomplete() {
    let budget = MemoryBudget::new(100);
    let problem = read_limited(&announcing(9), body(&["123"], Ending::Broken), &LIMITS, &budget).await.unwrap_err();
    assert_eq!(problem.code(), "body_incomplete");
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn the_budget_is_taken_as_announced_or_as_it_comes() {
    let budget = MemoryBudget::new(12);
    let _others = budget.take(5).unwrap();
    let announced = read_limited(&announcing(8), body(&[], Ending::Never), &LIMITS, &budget).await.unwrap_err();
    assert_eq!(announced.code(), "overloaded");
    let coming = read_limited(&HeaderMap::new(), body(&["1234", "5678"], Ending::Complete), &LIMITS, &budget).await;
    assert_eq!(coming.unwrap_err().code(), "overloaded");
    assert_eq!(budget.used(), 5);
    let fitting =
        read_limited(&announcing(7), body(&["1234", "567"], Ending::Complete), &LIMITS, &budget).await.unwrap();
    assert_eq!(budget.used(), 12);
    assert_eq!(fitting.permit.bytes(), 7);
}

#[tokio::test]
async fn what_was_announced_and_did_not_come_is_given_back() {
    // Hyper holds a body to its length; a router in a test does not.
    let budget = MemoryBudget::new(100);
    let read = read_limited(&announcing(9), body(&["123"], Ending::Complete), &LIMITS, &budget).await.unwrap();
    assert_eq!(read.permit.bytes(), 3);
    assert_eq!(budget.used(), 3);
}

#[tokio::test]
async fn trailers_are_no_part_of_the_body() {
    let with_trailers = http_body_util::Full::new(Bytes::from_static(b"ab")).with_trailers(async {
        Some(Ok::<_, Infallible>(HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from(9))])))
    });
    let budget = MemoryBudget::new(100);
    let read = read_limited(&HeaderMap::new(), Body::new(with_trailers), &LIMITS, &budget).await.unwrap();
    assert_eq!(read.bytes, "ab");
}

proptest! {
    #![proptest_config(crate::seeded_proptest())]

    #[test]
    fn however_it_comes_it_is_the_same(text in "[a-z]{0,60}", cuts in prop::collection::vec(0..60_usize, 0..6), announce: bool) {
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.sort_unstable();
        let ends = cuts.iter().copied().chain([text.len()]);
        let mut begin = 0;
        let pieces: Vec<&str> = ends.map(|end| &text[std::mem::replace(&mut begin, end)..end]).collect();
        let headers = if announce { announcing(text.len() as u64) } else { HeaderMap::new() };
        let limits = BodyLimits { max_bytes: 60, deadline: Duration::from_secs(60) };
        let budget = MemoryBudget::new(60);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let read = runtime.block_on(read_limited(&headers, body(&pieces, Ending::Complete), &limits, &budget)).unwrap();
        prop_assert_eq!(&read.bytes[..], text.as_bytes());
        prop_assert_eq!(budget.used(), text.len() as u64);
    }
}
