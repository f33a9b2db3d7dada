//! Replays plain-text dialogues against the pure protocol cores.
//!
//! A transcript is the specification of one rule, named by its file. It is replayed in several ways, whole lines,
//! one octet at a time, all input in one burst, and split at every offset, and must give the same dialogue each time.
//!
//! ```text
//! # RFC 1939 §5: a deleted message can no longer be listed.
//! given: pop3-server clear_login=yes
//! S: +OK ~
//! C: DELE 1
//! ?: remove 1
//! !: ok
//! S: +OK ~
//! X: us
//! ```
//!
//! | mark | meaning |
//! |---|---|
//! | `#` | a comment; the first one names the RFC section and says the rule |
//! | `given:` | which stage, and its settings as `key=value` |
//! | `replay:` | of `lines`, `octets`, `burst`, `split`, the ways that make sense here, if not all; say why in a comment |
//! | `S:` `C:` | what server and client say, CRLF implied; one side is ours, the other is played |
//! | `S*` `C*` | a block of our lines, in any order |
//! | `S\` `C\` `K\` | octets with escapes: `\r \n \t \0 \\ \xHH`, and `\{text*1000}` for repetition; no CRLF implied |
//! | `K:` | a line of content that the session gives to the house |
//! | `?:` `!:` | a question of the session and the house's answer |
//! | `N:` | news from the house |
//! | `T:` | the clock moves: `+90s`, `+5m`, `+1h`, or `tick`, exactly to the moment the session waits for |
//! | `TLS:` | the session asks for TLS and gets it (`version=` `name=`; as the first mark: TLS was implicit) |
//! | `CLEAR:` | the session ends TLS and goes on in clear |
//! | `DEFLATE:` | the session begins compression; what is said is written down as it is before and behind that |
//! | `X:` | `us`: the session closes; `peer`: the peer does; `house`: the house is closing; `administrator`: the session is sent away |
//! | `E:` | what a log may show of the last exchange: `open`, `content`, `secret 5` (checked line by line only) |
//!
//! In what our side says, in questions and in kept lines, `~` stands for anything, and `$name` for a word that is
//! remembered and expected, or said, again later.
//!
//! Not here: any protocol. A [`Stage`] says how to open a session and how its questions and answers are written.

mod pattern;
mod play;
mod script;

pub use pattern::{Names, matches};
pub use play::{Side, Stage, replay, replay_folder};
pub use script::Given;
