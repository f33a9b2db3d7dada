//! Lines and dots.

use ::line::{Dotter, Flaw, Line, Lines, Undotter};
use std::fmt::Debug;

/// The first two octets say how the rest is cut and how long a line may be.
fn cut(input: &[u8]) -> Option<(usize, usize, &[u8])> {
    let ([size, limit], rest) = input.split_first_chunk()?;
    Some((usize::from(*size).max(1), usize::from(*limit).max(2), rest))
}

/// Whether `Lines` could have given it to a parser.
pub fn is_line(text: &[u8]) -> bool {
    !text.iter().any(|octet| matches!(octet, b'\r' | b'\n' | b'\0'))
}

/// What is read from a line is written so that it is read the same, in one line.
pub fn read_and_written<T: PartialEq + Debug>(input: &[u8], read: fn(&[u8]) -> Option<T>, write: fn(&T, &mut Vec<u8>)) {
    let Some(value) = Some(input).filter(|input| is_line(input)).and_then(read) else { return };
    let mut wire = Vec::new();
    write(&value, &mut wire);
    let line = wire.strip_suffix(b"\r\n").expect("it ends its line");
    assert!(is_line(line), "it is one line: {:?}", String::from_utf8_lossy(line));
    assert_eq!(read(line), Some(value), "{:?}", String::from_utf8_lossy(line));
}

/// Lines are found alike however the input was cut, and what is held stays below the limit.
pub fn lines(input: &[u8]) {
    let Some((size, limit, input)) = cut(input) else { return };
    assert_eq!(found(input, size, limit), found(input, input.len(), limit));
}

/// Every line that is whole; `None` for one that is not to be used.
fn found(input: &[u8], size: usize, limit: usize) -> Vec<Option<Vec<u8>>> {
    let mut lines = Lines::new(limit);
    let (mut held, mut found) = (Vec::new(), Vec::new());
    for piece in input.chunks(size.max(1)) {
        held.extend_from_slice(piece);
        loop {
            let taken = match lines.look(&held) {
                Line::Whole { text, taken } => {
                    assert!(taken <= limit && !text.contains(&b'\n') && !text.contains(&b'\r') && !text.contains(&0));
                    found.push(Some(text.to_vec()));
                    taken
                }
                Line::Flawed { taken } | Line::TooLong { taken } => {
                    found.push(None);
                    taken
                }
                Line::Overflowing { taken } => taken,
                Line::Partial => break,
            };
            assert!(taken > 0 && taken <= held.len());
            held.drain(..taken);
        }
        assert!(held.len() < limit);
    }
    found
}

/// The text, its flaw and what is behind it do not depend on how the input was cut; and dotting is undone by undotting.
pub fn undotter(input: &[u8]) {
    let Some((size, limit, input)) = cut(input) else { return };
    assert_eq!(undot(input, size, limit), undot(input, input.len(), limit));
    let (whole, pieces) = (dot(input, input.len()), dot(input, size));
    assert_eq!(whole, pieces);
    let (text, flaw, behind) = undot(&whole, whole.len(), usize::MAX).expect("a dotted text ends");
    assert!(behind.is_empty(), "a dotted text ends where it was meant to");
    if flaw.is_none() {
        let (text, ended) = (text.as_slice(), [input, b"\r\n"].concat());
        assert!(text == input || text == ended, "what was dotted comes back");
    }
}

fn undot(wire: &[u8], size: usize, line_max: usize) -> Option<(Vec<u8>, Option<Flaw>, Vec<u8>)> {
    let mut undotter = Undotter::new(line_max);
    let (mut text, mut taken) = (Vec::new(), 0);
    while taken < wire.len() {
        let piece = &wire[taken..wire.len().min(taken + size.max(1))];
        let step = undotter.take(piece, &mut text);
        taken += step.taken;
        if step.ended {
            return Some((text, undotter.flaw(), wire[taken..].to_vec()));
        }
        assert_eq!(step.taken, piece.len(), "all is taken until the end");
    }
    None
}

fn dot(text: &[u8], size: usize) -> Vec<u8> {
    let (mut dotter, mut wire) = (Dotter::new(), Vec::new());
    text.chunks(size.max(1)).for_each(|piece| dotter.put(piece, &mut wire));
    dotter.end(&mut wire);
    wire
}
