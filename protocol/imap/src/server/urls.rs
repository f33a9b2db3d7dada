//! URLs that grant access: GENURLAUTH, RESETKEY, URLFETCH.
//!
//! RFC 4467 §7 (commands), §8 (responses); RFC 5550 §5.7.1 (URL-PARTIAL).
//!
//! ```text
//! URLFETCH ─→ FetchUrl ─→ written ─a stretch→ Read ─Octets or Sent→ … ─→ the next URL … or the reply
//! ```
//!
//! Invariants: whatever is wrong with a URL that is fetched, the answer is NIL; tokens stand in no log.
//! Not here: keys and tokens, who may read what (house).

use super::Server;
use super::ask::{Answer, Ask, Content, Refusal};
use super::refusal::reply_to;
use super::stage::{Flow, Member, Pending, Stage, Turn};
use super::stretch::{Broken, Stretch};
use crate::name::MailboxName;
use crate::reply::{Code, Pen, Reply};
use crate::url::{AuthorizedUrl, INTERNAL};
use crate::words::Misread;
use line::Secret;
use std::collections::VecDeque;

/// URLs that are still to be fetched.
#[derive(Debug)]
pub(super) struct UrlWork {
    left: VecDeque<Vec<u8>>,
    /// The one that is asked about.
    current: Vec<u8>,
    /// What is left of its content.
    stretch: Option<Stretch>,
}

impl Server {
    pub(super) fn gen_url_auth(&mut self, member: Box<Member>, turn: Turn, named: Vec<(String, String)>) -> Stage {
        let mut urls = Vec::with_capacity(named.len());
        for (url, mechanism) in named {
            if !mechanism.eq_ignore_ascii_case(INTERNAL) {
                return self.finish(member, turn, Reply::bad("URLs are authorized by INTERNAL only"));
            }
            match AuthorizedUrl::parse_rump(&url) {
                Ok(url) => urls.push(url),
                Err(Misread(why)) => return self.finish(member, turn, Reply::bad(why)),
            }
        }
        let rumps = urls.iter().map(|url| url.rump.clone()).collect();
        self.await_answer(member, turn, Ask::AuthorizeUrls(urls), Pending::AuthorizeUrls(rumps))
    }

    pub(super) fn urls_authorized(
        &mut self,
        member: Box<Member>,
        turn: Turn,
        rumps: &[String],
        answer: Answer,
    ) -> Stage {
        let reply = match answer {
            Answer::UrlTokens(tokens) => {
                self.write_authorized(rumps, &tokens);
                Reply::ok("whoever has it may use it as it says")
            }
            Answer::Refused(refusal @ (Refusal::Unavailable | Refusal::Limit | Refusal::Corrupted)) => {
                reply_to(refusal)
            }
            // RFC 4467 §7: one's own URLs, of mailboxes that are there.
            Answer::Refused(_) => Reply::bad("the URL names no mailbox of yours"),
            _ => reply_to(Refusal::Unavailable),
        };
        self.finish(member, turn, reply)
    }

    fn write_authorized(&mut self, rumps: &[String], tokens: &[Secret]) {
        let mut pen = Pen(&mut self.said);
        pen.word("* GENURLAUTH");
        for (rump, token) in rumps.iter().zip(tokens) {
            let mut url = format!("{rump}:{INTERNAL}:").into_bytes();
            let digit = |digit: u8| b"0123456789abcdef"[usize::from(digit)];
            url.extend(token.reveal().iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]));
            pen.word(" ").string(&url);
        }
        pen.end();
        self.says_content = true;
    }

    pub(super) fn reset_key(
        &mut self,
        member: Box<Member>,
        turn: Turn,
        mailbox: Option<MailboxName>,
        mechanisms: &[String],
    ) -> Stage {
        if mechanisms.iter().any(|mechanism| !mechanism.eq_ignore_ascii_case(INTERNAL)) {
            return self.finish(member, turn, Reply::no("there is no mechanism but INTERNAL").coded("CANNOT"));
        }
        let reply = match mailbox {
            Some(_) => Reply::ok("a new key").with(Code::Plain(URL_MECHANISMS)),
            None => Reply::ok("all keys are removed"),
        };
        self.await_answer(member, turn, Ask::ResetUrlKeys(mailbox), Pending::Done(reply))
    }

    /// RFC 4467 §8: which mechanisms there are, for a mailbox that is selected or whose key is another now.
    pub(super) fn write_url_mechanisms(&mut self) {
        Reply::ok("URLs can be authorized").with(Code::Plain(URL_MECHANISMS)).write(None, &mut self.said);
    }

    pub(super) fn url_fetch(&mut self, member: Box<Member>, turn: Turn, urls: Vec<Vec<u8>>) -> Stage {
        self.url_fetch_on(member, turn, UrlWork { left: urls.into(), current: Vec::new(), stretch: None })
    }

    /// Writes until a piece is full, the house must be asked, or all are told.
    pub(super) fn url_fetch_on(&mut self, member: Box<Member>, turn: Turn, mut work: UrlWork) -> Stage {
        if let Some(stretch) = work.stretch {
            return self.await_answer(member, turn, stretch.ask(), Pending::ReadUrl(work));
        }
        loop {
            if self.piece_is_full() {
                return Stage::Flowing { member, turn, flow: Box::new(Flow::Urls(work)) };
            }
            let Some(next) = work.left.pop_front() else {
                return self.finish(member, turn, Reply::ok("fetched"));
            };
            work.current = next;
            match AuthorizedUrl::parse(&work.current) {
                Some(url) => {
                    return self.await_answer(member, turn, Ask::FetchUrl(Box::new(url)), Pending::FetchUrl(work));
                }
                None => self.write_fetched(&mut work, Content::Nil, &[]),
            }
        }
    }

    pub(super) fn url_fetched(&mut self, member: Box<Member>, turn: Turn, mut work: UrlWork, answer: Answer) -> Stage {
        match answer {
            Answer::FetchedUrl { content, octets } => self.write_fetched(&mut work, content, &octets),
            Answer::Refused(Refusal::Unavailable) => {
                return self.finish(member, turn, reply_to(Refusal::Unavailable));
            }
            _ => self.write_fetched(&mut work, Content::Nil, &[]),
        }
        self.url_fetch_on(member, turn, work)
    }

    fn write_fetched(&mut self, work: &mut UrlWork, content: Content, octets: &[u8]) {
        self.says_content = true;
        let mut pen = Pen(&mut self.said);
        pen.word("* URLFETCH ").string(&work.current).word(" ");
        match content {
            Content::Octets(excerpt) if !excerpt.of(octets).is_empty() => {
                let octets = excerpt.of(octets);
                pen.literal_head(octets.len() as u64).formed(octets);
            }
            Content::Octets(_) | Content::Stretch { .. } => match Stretch::of(&content) {
                Some(stretch) => {
                    pen.literal_head(stretch.octets());
                    work.stretch = Some(stretch);
                    return;
                }
                None => {
                    pen.word("\"\"");
                }
            },
            _ => {
                pen.word("NIL");
            }
        }
        pen.end();
    }

    /// Octets of a stretch came, or have gone.
    pub(super) fn url_read(&mut self, member: Box<Member>, turn: Turn, mut work: UrlWork, answer: Answer) -> Stage {
        match self.pass_on(work.stretch, answer) {
            Ok(left) => work.stretch = left,
            Err(Broken) => return Stage::Closing,
        }
        if work.stretch.is_none() {
            self.pen().end();
        }
        Stage::Flowing { member, turn, flow: Box::new(Flow::Urls(work)) }
    }
}

/// RFC 4467 §8.
const URL_MECHANISMS: &str = "URLMECH INTERNAL";
