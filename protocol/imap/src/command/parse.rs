//! Reading the arguments of each command.
//!
//! RFC 9051 §9; RFC 2971, RFC 4314, RFC 4467, RFC 5256, RFC 5267, RFC 5464, RFC 6154, RFC 7162, RFC 9208, RFC 9394, RFC 9590.

use super::*;
use crate::fetch::Item;
use crate::flag::{FLAGS_MAX, Flag};
use crate::pattern::PATTERNS_MAX;
use crate::search;
use crate::server::ask::SortBy;
use crate::table::Verb;
use crate::words::Reading;
use std::borrow::Cow;

pub(super) fn command(verb: Verb, uid: bool, scanner: &mut Scanner<'_>) -> Reading<Command> {
    let command = arguments(verb, uid, scanner)?;
    // What follows a charset that we do not have cannot be read.
    if !matches!(command, Command::BadCharset { .. }) {
        scanner.end()?;
    }
    Ok(command)
}

fn arguments(verb: Verb, uid: bool, scanner: &mut Scanner<'_>) -> Reading<Command> {
    Ok(match verb {
        Verb::Capability => Command::Capability,
        Verb::Noop => Command::Noop,
        Verb::Logout => Command::Logout,
        Verb::Starttls => Command::Starttls,
        Verb::Unauthenticate => Command::Unauthenticate,
        Verb::Namespace => Command::Namespace,
        Verb::Idle => Command::Idle,
        Verb::Check => Command::Check,
        Verb::Close => Command::Close,
        Verb::Unselect => Command::Unselect,
        Verb::Expunge if !uid => Command::Expunge(None),
        Verb::Resetkey if scanner.is_at_end() => Command::ResetKey(None, Vec::new()),
        _ => {
            scanner.space()?;
            return with_arguments(verb, scanner);
        }
    })
}

fn with_arguments(verb: Verb, scanner: &mut Scanner<'_>) -> Reading<Command> {
    Ok(match verb {
        Verb::Id => Command::Id(id(scanner)?),
        Verb::Compress => Command::Compress(String::from_utf8_lossy(scanner.atom()?).into_owned()),
        Verb::Login => login(scanner)?,
        Verb::Authenticate => authenticate(scanner)?,
        Verb::Enable => Command::Enable(words(scanner)?),
        Verb::Select => Command::Select(select(scanner, false)?),
        Verb::Examine => Command::Select(select(scanner, true)?),
        Verb::Create => create(scanner)?,
        Verb::Delete => Command::Delete(MailboxName::scan(scanner)?),
        Verb::Rename => {
            let from = MailboxName::scan(scanner)?;
            scanner.space()?;
            Command::Rename(from, MailboxName::scan(scanner)?)
        }
        Verb::Subscribe | Verb::Unsubscribe => {
            let subscribed = verb == Verb::Subscribe;
            Command::Subscribe { mailbox: MailboxName::scan(scanner)?, subscribed }
        }
        Verb::List => Command::List(list(scanner)?),
        Verb::Lsub => {
            let reference = scanner.astring()?;
            scanner.space()?;
            Command::Lsub(Pattern::parse(&reference, &scanner.list_mailbox()?, scanner.is_utf8())?)
        }
        Verb::Status => {
            let mailbox = MailboxName::scan(scanner)?;
            scanner.space()?;
            Command::Status(mailbox, status_items(scanner)?)
        }
        Verb::Expunge => Command::Expunge(Some(named(scanner)?)),
        Verb::Search => {
            let (returned, update) = returned(scanner)?;
            if scanner.eat_word(b"CHARSET ") {
                if !charset_is_known(scanner)? {
                    return Ok(Command::BadCharset { saves: saves(returned) });
                }
                scanner.space()?;
            }
            Command::Search(Search { returned, update, program: search::scan(scanner)? })
        }
        Verb::Esearch => {
            let sources = sources(scanner)?;
            let (returned, update) = returned(scanner)?;
            if scanner.eat_word(b"CHARSET ") {
                if !charset_is_known(scanner)? {
                    return Ok(Command::BadCharset { saves: saves(returned) });
                }
                scanner.space()?;
            }
            Command::Esearch(sources, Search { returned, update, program: search::scan(scanner)? })
        }
        Verb::Sort => {
            let (returned, update) = returned(scanner)?;
            let keys = sort_keys(scanner)?;
            scanner.space()?;
            if !charset_is_known(scanner)? {
                return Ok(Command::BadCharset { saves: saves(returned) });
            }
            scanner.space()?;
            Command::Sort(keys, Search { returned, update, program: search::scan(scanner)? })
        }
        Verb::Thread => {
            let algorithm = algorithm(scanner.atom()?)?;
            scanner.space()?;
            if !charset_is_known(scanner)? {
                return Ok(Command::BadCharset { saves: false });
            }
            scanner.space()?;
            Command::Thread(algorithm, search::scan(scanner)?)
        }
        Verb::Fetch => Command::Fetch(fetch(scanner)?),
        Verb::Store => Command::Store(store(scanner)?),
        Verb::Copy | Verb::Move => {
            let messages = named(scanner)?;
            scanner.space()?;
            Command::Copy { messages, to: MailboxName::scan(scanner)?, remove: verb == Verb::Move }
        }
        Verb::Uidbatches => uidbatches(scanner)?,
        Verb::Getquota => Command::GetQuota(scanner.text()?),
        Verb::Getquotaroot => Command::GetQuotaRoot(MailboxName::scan(scanner)?),
        Verb::Setquota => set_quota(scanner)?,
        Verb::Getmetadata => Command::GetMetadata(get_metadata(scanner)?),
        Verb::Setmetadata => set_metadata(scanner)?,
        Verb::Getacl => Command::GetAcl(MailboxName::scan(scanner)?),
        Verb::Setacl => set_acl(scanner)?,
        Verb::Deleteacl => {
            let (mailbox, identifier) = mailbox_and_identifier(scanner)?;
            Command::DeleteAcl(mailbox, identifier)
        }
        Verb::Listrights => {
            let (mailbox, identifier) = mailbox_and_identifier(scanner)?;
            Command::ListRights(mailbox, identifier)
        }
        Verb::Notify => Command::Notify(notify::scan(scanner)?),
        Verb::Cancelupdate => Command::CancelUpdate(row_of(scanner, TAGS_MAX, tag)?),
        Verb::Genurlauth => Command::GenUrlAuth(row_of(scanner, URLS_MAX, |scanner| {
            let url = scanner.text()?;
            scanner.space()?;
            Ok((url, mechanism(scanner)?))
        })?),
        Verb::Resetkey => {
            let mailbox = MailboxName::scan(scanner)?;
            let mechanisms = match scanner.eat(b' ') {
                true => row_of(scanner, MECHANISMS_MAX, mechanism)?,
                false => Vec::new(),
            };
            Command::ResetKey(Some(mailbox), mechanisms)
        }
        Verb::Urlfetch => {
            Command::UrlFetch(row_of(scanner, URLS_MAX, |scanner| scanner.astring().map(Cow::into_owned))?)
        }
        Verb::Myrights => Command::MyRights(MailboxName::scan(scanner)?),
        // Those without arguments were read above; APPEND and REPLACE are read around their messages.
        _ => return Err(Misread("a message is missing")),
    })
}

/// A list in parentheses of at most so many items.
fn list_of<T>(
    scanner: &mut Scanner<'_>,
    max: usize,
    mut item: impl FnMut(&mut Scanner<'_>) -> Reading<T>,
) -> Reading<Vec<T>> {
    let mut items = Vec::new();
    scanner.list(|scanner| {
        if items.len() == max {
            return Err(Misread("the list is too long"));
        }
        items.push(item(scanner)?);
        Ok(())
    })?;
    Ok(items)
}

fn id(scanner: &mut Scanner<'_>) -> Reading<Vec<(String, Option<String>)>> {
    if scanner.eat_word(b"NIL") {
        return Ok(Vec::new());
    }
    list_of(scanner, ID_FIELDS_MAX, |scanner| {
        let name = String::from_utf8_lossy(&scanner.string()?).into_owned();
        scanner.space()?;
        let value = scanner.nstring()?.map(|value| String::from_utf8_lossy(&value).into_owned());
        if name.len() > ID_NAME_MAX || value.as_ref().is_some_and(|value| value.len() > ID_VALUE_MAX) {
            return Err(Misread("a name has at most 30 octets, a value 1024"));
        }
        Ok((name, value))
    })
}

fn login(scanner: &mut Scanner<'_>) -> Reading<Command> {
    let user = scanner.astring()?.into_owned();
    scanner.space()?;
    Ok(Command::Login { user, password: Secret::new(scanner.astring()?.into_owned()) })
}

fn authenticate(scanner: &mut Scanner<'_>) -> Reading<Command> {
    let mechanism = String::from_utf8_lossy(scanner.atom()?).into_owned();
    if scanner.is_at_end() {
        return Ok(Command::Authenticate { mechanism, initial: None });
    }
    scanner.space()?;
    let initial = scanner.take_while(|octet| octet.is_ascii_graphic());
    Ok(Command::Authenticate { mechanism, initial: Some(Secret::new(initial)) })
}

/// Words with blanks between them.
fn words(scanner: &mut Scanner<'_>) -> Reading<Vec<String>> {
    row_of(scanner, ENABLE_MAX, |scanner| Ok(String::from_utf8_lossy(scanner.atom()?).into_owned()))
}

/// At least one of something, with blanks between them, to the end of the command.
fn row_of<T>(
    scanner: &mut Scanner<'_>,
    max: usize,
    mut item: impl FnMut(&mut Scanner<'_>) -> Reading<T>,
) -> Reading<Vec<T>> {
    let mut items = Vec::new();
    loop {
        if items.len() == max {
            return Err(Misread("there are too many at once"));
        }
        items.push(item(scanner)?);
        if scanner.is_at_end() {
            return Ok(items);
        }
        scanner.space()?;
    }
}

/// A tag in quotes.
fn tag(scanner: &mut Scanner<'_>) -> Reading<Vec<u8>> {
    let tag = scanner.string()?.into_owned();
    if is_tag(&tag) { Ok(tag) } else { Err(Misread("no command has such a tag")) }
}

/// RFC 4467 §9.
fn mechanism(scanner: &mut Scanner<'_>) -> Reading<String> {
    let legal = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.');
    match scanner.take_while(legal) {
        b"" => Err(Misread("a mechanism is missing, such as INTERNAL")),
        word => Ok(String::from_utf8_lossy(word).into_owned()),
    }
}

fn select(scanner: &mut Scanner<'_>, read_only: bool) -> Reading<Select> {
    let mut select = Select { mailbox: MailboxName::scan(scanner)?, read_only, condstore: false, resync: None };
    if scanner.is_at_end() {
        return Ok(select);
    }
    scanner.space()?;
    scanner.list(|scanner| {
        match scanner.atom()?.to_ascii_uppercase().as_slice() {
            b"CONDSTORE" => select.condstore = true,
            b"QRESYNC" if select.resync.is_none() => {
                scanner.space()?;
                select.resync = Some(resync(scanner)?);
            }
            _ => return Err(Misread("SELECT knows CONDSTORE and QRESYNC, once each")),
        }
        Ok(())
    })?;
    Ok(select)
}

fn resync(scanner: &mut Scanner<'_>) -> Reading<Resync> {
    const PLAIN: Misread = Misread("a set of numbers without * is missing");
    let set = |scanner: &mut Scanner<'_>| sequence(scanner)?.plain().ok_or(PLAIN);
    scanner.expect(b'(', "QRESYNC (uidvalidity modseq …)")?;
    let uidvalidity = scanner.nonzero()?;
    scanner.space()?;
    let modseq = scanner.number64()?;
    let mut resync = Resync { uidvalidity, modseq, known: None, matched: None };
    if scanner.peek() == Some(b' ') && scanner.rest().get(1) != Some(&b'(') {
        scanner.space()?;
        resync.known = Some(set(scanner)?);
    }
    if scanner.eat(b' ') {
        scanner.expect(b'(', "numbers and their UIDs stand in parentheses")?;
        let numbers = set(scanner)?;
        scanner.space()?;
        resync.matched = Some((numbers, set(scanner)?));
        scanner.expect(b')', "numbers and their UIDs stand in parentheses")?;
    }
    scanner.expect(b')', "QRESYNC (uidvalidity modseq [known UIDs] [(numbers UIDs)])")?;
    Ok(resync)
}

fn create(scanner: &mut Scanner<'_>) -> Reading<Command> {
    let utf8 = scanner.is_utf8();
    let wire = scanner.astring()?;
    // RFC 9051 §6.3.4: a separator at the end says that mailboxes below are meant to come, and is no part of the name.
    let mailbox = MailboxName::parse(wire.strip_suffix(b"/").unwrap_or(&wire), utf8)?;
    let mut uses = Vec::new();
    if !scanner.is_at_end() {
        scanner.space()?;
        scanner.expect(b'(', "behind the name stands (USE (…))")?;
        if !scanner.eat_word(b"USE ") {
            return Err(Misread("behind the name stands (USE (…))"));
        }
        uses = list_of(scanner, SpecialUse::ALL.len(), |scanner| {
            let word = scanner.take_while(|octet| octet == b'\\' || octet.is_ascii_alphanumeric());
            SpecialUse::parse(word).ok_or(Misread("no such use"))
        })?;
        scanner.expect(b')', "behind the name stands (USE (…))")?;
    }
    Ok(Command::Create { mailbox, uses })
}

fn list(scanner: &mut Scanner<'_>) -> Reading<List> {
    let mut list = List::default();
    if scanner.peek() == Some(b'(') {
        selection(scanner, &mut list)?;
        scanner.space()?;
    }
    let utf8 = scanner.is_utf8();
    let reference = scanner.astring()?;
    scanner.space()?;
    if scanner.peek() == Some(b'(') {
        list.patterns =
            list_of(scanner, PATTERNS_MAX, |scanner| Pattern::parse(&reference, &scanner.list_mailbox()?, utf8))?;
        if list.patterns.is_empty() {
            return Err(Misread("a pattern is missing"));
        }
    } else {
        let pattern = scanner.list_mailbox()?;
        if pattern.is_empty() {
            list.root = Some(crate::name::from_wire(&reference, utf8)?);
        } else {
            list.patterns.push(Pattern::parse(&reference, &pattern, utf8)?);
        }
    }
    if !scanner.is_at_end() {
        scanner.space()?;
        if !scanner.eat_word(b"RETURN ") {
            return Err(Misread("behind the pattern stands RETURN (…)"));
        }
        list.returned = returned_of_list(scanner)?;
    }
    Ok(list)
}

fn selection(scanner: &mut Scanner<'_>, list: &mut List) -> Reading<()> {
    scanner.list(|scanner| {
        match scanner.atom()?.to_ascii_uppercase().as_slice() {
            b"SUBSCRIBED" => list.subscribed = true,
            b"REMOTE" => list.remote = true,
            b"RECURSIVEMATCH" => list.recursive = true,
            b"SPECIAL-USE" => list.special_use = true,
            _ => return Err(Misread("LIST selects SUBSCRIBED, REMOTE, RECURSIVEMATCH, SPECIAL-USE")),
        }
        Ok(())
    })?;
    // RFC 9051 §6.3.9.1: RECURSIVEMATCH modifies another option and cannot stand alone or with REMOTE only.
    if list.recursive && !list.subscribed && !list.special_use {
        return Err(Misread("RECURSIVEMATCH needs SUBSCRIBED or SPECIAL-USE beside it"));
    }
    Ok(())
}

fn returned_of_list(scanner: &mut Scanner<'_>) -> Reading<Returned> {
    let mut returned = Returned { said: true, ..Returned::default() };
    scanner.list(|scanner| {
        match scanner.atom()?.to_ascii_uppercase().as_slice() {
            b"SUBSCRIBED" => returned.subscribed = true,
            b"CHILDREN" => returned.children = true,
            b"SPECIAL-USE" => returned.special_use = true,
            b"MYRIGHTS" => returned.myrights = true,
            b"STATUS" => {
                scanner.space()?;
                returned.status = status_items(scanner)?;
            }
            b"METADATA" => {
                scanner.space()?;
                returned.metadata = list_of(scanner, ENTRIES_MAX, entry_name)?;
            }
            _ => return Err(Misread("LIST returns SUBSCRIBED, CHILDREN, SPECIAL-USE, STATUS, METADATA, MYRIGHTS")),
        }
        Ok(())
    })?;
    Ok(returned)
}

fn status_items(scanner: &mut Scanner<'_>) -> Reading<Vec<StatusItem>> {
    let items = list_of(scanner, 2 * StatusItem::ALL.len(), |scanner| {
        let word = scanner.atom()?;
        let found = StatusItem::ALL.iter().find(|(_, name)| name.as_bytes().eq_ignore_ascii_case(word));
        found.map(|(item, _)| *item).ok_or(Misread("STATUS does not tell this"))
    })?;
    if items.is_empty() { Err(Misread("an item is missing")) } else { Ok(items) }
}

fn sequence(scanner: &mut Scanner<'_>) -> Reading<SequenceSet> {
    let text = scanner.take_while(|octet| octet.is_ascii_digit() || matches!(octet, b':' | b',' | b'*'));
    SequenceSet::parse(text).ok_or(Misread("a set of messages is like 2,4:7,9,12:*"))
}

fn named(scanner: &mut Scanner<'_>) -> Reading<Named> {
    if scanner.eat(b'$') { Ok(Named::Saved) } else { sequence(scanner).map(Named::Set) }
}

/// RFC 7377 §4: where to look; in the selected mailbox, if it is not said.
fn sources(scanner: &mut Scanner<'_>) -> Reading<Vec<Source>> {
    if !scanner.eat_word(b"IN ") {
        return Ok(vec![Source::Selected]);
    }
    let mut sources = Vec::new();
    scanner.list(|scanner| {
        if sources.len() == notify::GROUPS_MAX {
            return Err(Misread("too many sources"));
        }
        if scanner.peek() == Some(b'(') {
            return Err(Misread("no options of the search's scope are known"));
        }
        let word = scanner.atom()?.to_ascii_lowercase();
        sources.push(match word.as_slice() {
            b"selected" => Source::Selected,
            b"subtree-one" => Source::Children(notify::names(scanner)?),
            word => Source::Among(notify::among(word, scanner)?.ok_or(Misread(
                "sources are selected, inboxes, personal, subscribed, subtree, subtree-one, mailboxes",
            ))?),
        });
        Ok(())
    })?;
    if sources.is_empty() {
        return Err(Misread("a source is missing"));
    }
    scanner.space()?;
    Ok(sources)
}

/// What is to be returned, and whether it is to be kept up to date.
fn returned(scanner: &mut Scanner<'_>) -> Reading<(Option<Results>, Option<Vec<Item>>)> {
    if !scanner.eat_word(b"RETURN ") {
        return Ok((None, None));
    }
    let (mut results, mut update) = (Results::default(), None);
    scanner.list(|scanner| {
        match scanner.atom()?.to_ascii_uppercase().as_slice() {
            b"MIN" => results.min = true,
            b"MAX" => results.max = true,
            b"ALL" => results.all = true,
            b"COUNT" => results.count = true,
            b"SAVE" => results.save = true,
            b"CONTEXT" => results.context = true,
            b"RELEVANCY" => results.relevancy = true,
            b"UPDATE" => update = Some(update_items(scanner)?),
            b"PARTIAL" => {
                scanner.space()?;
                results.partial = Some(window(scanner)?);
            }
            _ => return Err(Misread("SEARCH returns MIN, MAX, ALL, COUNT, SAVE, PARTIAL, RELEVANCY, CONTEXT, UPDATE")),
        }
        Ok(())
    })?;
    if results.all && results.partial.is_some() {
        return Err(Misread("ALL and PARTIAL exclude each other"));
    }
    // RFC 9051 §6.4.4: an empty list means ALL.
    let nothing = Results::default();
    results.all |= results == nothing && update.is_none();
    scanner.space()?;
    Ok((Some(results), update))
}

/// RFC 5465 §7: what is to be fetched of new messages. The grammar has no blank before it, the example has one.
fn update_items(scanner: &mut Scanner<'_>) -> Reading<Vec<Item>> {
    if matches!(scanner.rest(), [b' ', b'(', ..]) {
        scanner.space()?;
    }
    if scanner.peek() == Some(b'(') { Item::scan_all(scanner) } else { Ok(Vec::new()) }
}

fn saves(returned: Option<Results>) -> bool {
    returned.is_some_and(|results| results.save)
}

fn window(scanner: &mut Scanner<'_>) -> Reading<Window> {
    const WRONG: &str = "a range is like 1:500 or -1:-100";
    let from_end = scanner.eat(b'-');
    let first = scanner.nonzero()?;
    scanner.expect(b':', WRONG)?;
    if scanner.eat(b'-') != from_end {
        return Err(Misread(WRONG));
    }
    let last = scanner.nonzero()?;
    Ok(Window { first: first.min(last), last: first.max(last), from_end })
}

fn charset_is_known(scanner: &mut Scanner<'_>) -> Reading<bool> {
    let name = scanner.astring()?;
    Ok(search::CHARSETS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(&name)))
}

fn sort_keys(scanner: &mut Scanner<'_>) -> Reading<Vec<SortKey>> {
    let keys = list_of(scanner, SORT_KEYS_MAX, |scanner| {
        let reverse = scanner.eat_word(b"REVERSE ");
        let word = scanner.atom()?.to_ascii_uppercase();
        let found = SORT_NAMES.iter().find(|(_, name)| name.as_bytes() == word);
        let by = found.map(|(by, _)| *by).ok_or(Misread("no such criterion to sort by"))?;
        Ok(SortKey { by, reverse })
    })?;
    if keys.is_empty() { Err(Misread("a criterion to sort by is missing")) } else { Ok(keys) }
}

pub(super) const SORT_NAMES: [(SortBy, &str); 10] = [
    (SortBy::Arrival, "ARRIVAL"),
    (SortBy::Cc, "CC"),
    (SortBy::Date, "DATE"),
    (SortBy::From, "FROM"),
    (SortBy::Size, "SIZE"),
    (SortBy::Subject, "SUBJECT"),
    (SortBy::To, "TO"),
    (SortBy::DisplayFrom, "DISPLAYFROM"),
    (SortBy::DisplayTo, "DISPLAYTO"),
    (SortBy::Relevancy, "RELEVANCY"),
];

fn algorithm(word: &[u8]) -> Reading<ThreadAlgorithm> {
    match word.to_ascii_uppercase().as_slice() {
        b"ORDEREDSUBJECT" => Ok(ThreadAlgorithm::OrderedSubject),
        b"REFERENCES" => Ok(ThreadAlgorithm::References),
        b"REFS" => Ok(ThreadAlgorithm::Refs),
        _ => Err(Misread("threads are found by ORDEREDSUBJECT, REFERENCES, or REFS")),
    }
}

fn fetch(scanner: &mut Scanner<'_>) -> Reading<Fetch> {
    let messages = named(scanner)?;
    scanner.space()?;
    let items = Item::scan_all(scanner)?;
    let mut fetch = Fetch { messages, items, changed_since: None, vanished: false, window: None };
    if !scanner.is_at_end() {
        scanner.space()?;
        scanner.list(|scanner| {
            match scanner.atom()?.to_ascii_uppercase().as_slice() {
                b"CHANGEDSINCE" => {
                    scanner.space()?;
                    fetch.changed_since = Some(scanner.number64()?);
                }
                b"VANISHED" => fetch.vanished = true,
                b"PARTIAL" => {
                    scanner.space()?;
                    fetch.window = Some(window(scanner)?);
                }
                _ => return Err(Misread("FETCH knows CHANGEDSINCE, VANISHED, PARTIAL")),
            }
            Ok(())
        })?;
    }
    if fetch.vanished && fetch.changed_since.is_none() {
        return Err(Misread("VANISHED needs CHANGEDSINCE beside it"));
    }
    Ok(fetch)
}

fn store(scanner: &mut Scanner<'_>) -> Reading<Store> {
    let messages = named(scanner)?;
    scanner.space()?;
    let mut unchanged_since = None;
    if scanner.peek() == Some(b'(') {
        scanner.list(|scanner| {
            if unchanged_since.is_some() || !scanner.eat_word(b"UNCHANGEDSINCE ") {
                return Err(Misread("STORE knows UNCHANGEDSINCE, once"));
            }
            unchanged_since = Some(scanner.number64()?);
            Ok(())
        })?;
        scanner.space()?;
    }
    let how = match scanner.peek() {
        Some(b'+') => Change::Add,
        Some(b'-') => Change::Remove,
        _ => Change::Replace,
    };
    if how != Change::Replace {
        scanner.eat(scanner.peek().unwrap_or_default());
    }
    let silent = match scanner.atom()?.to_ascii_uppercase().as_slice() {
        b"FLAGS" => false,
        b"FLAGS.SILENT" => true,
        _ => return Err(Misread("what is stored is FLAGS, +FLAGS, -FLAGS, each perhaps with .SILENT")),
    };
    scanner.space()?;
    Ok(Store { messages, how, flags: flags(scanner)?, silent, unchanged_since })
}

/// Flags in parentheses, or bare with blanks between them.
fn flags(scanner: &mut Scanner<'_>) -> Reading<Flags> {
    if scanner.peek() == Some(b'(') {
        return flag_list(scanner);
    }
    let mut flags = vec![flag(scanner)?];
    while !scanner.is_at_end() {
        if flags.len() == FLAGS_MAX {
            return Err(Misread("too many flags"));
        }
        scanner.space()?;
        flags.push(flag(scanner)?);
    }
    Ok(flags.into_iter().collect())
}

/// Flags in parentheses.
pub(super) fn flag_list(scanner: &mut Scanner<'_>) -> Reading<Flags> {
    Ok(list_of(scanner, FLAGS_MAX, flag)?.into_iter().collect())
}

fn flag(scanner: &mut Scanner<'_>) -> Reading<Flag> {
    let text = scanner.take_while(|octet| octet == b'\\' || crate::words::is_atom_char(octet));
    Flag::parse(text).ok_or(Misread("no such flag can be set"))
}

fn uidbatches(scanner: &mut Scanner<'_>) -> Reading<Command> {
    let size = scanner.nonzero()?;
    let mut batches = None;
    if !scanner.is_at_end() {
        scanner.space()?;
        let first = scanner.nonzero()?;
        let last = if scanner.eat(b':') { scanner.nonzero()? } else { first };
        batches = Some((first, last));
    }
    Ok(Command::Uidbatches { size, batches })
}

pub(super) const RESOURCES: [(Resource, &str); 4] = [
    (Resource::Storage, "STORAGE"),
    (Resource::Message, "MESSAGE"),
    (Resource::Mailbox, "MAILBOX"),
    (Resource::AnnotationStorage, "ANNOTATION-STORAGE"),
];

fn set_quota(scanner: &mut Scanner<'_>) -> Reading<Command> {
    let root = scanner.text()?;
    scanner.space()?;
    let limits = list_of(scanner, LIMITS_MAX, |scanner| {
        let word = scanner.atom()?.to_ascii_uppercase();
        let found = RESOURCES.iter().find(|(_, name)| name.as_bytes() == word);
        let resource = found.map(|(resource, _)| *resource).ok_or(Misread("no such resource"))?;
        scanner.space()?;
        Ok((resource, scanner.number64()?))
    })?;
    Ok(Command::SetQuota(root, limits))
}

fn mailbox_or_server(scanner: &mut Scanner<'_>) -> Reading<Option<MailboxName>> {
    let utf8 = scanner.is_utf8();
    let wire = scanner.astring()?;
    if wire.is_empty() { Ok(None) } else { MailboxName::parse(&wire, utf8).map(Some) }
}

/// RFC 5464 §3.2: a name begins with a slash, and neither ends in one nor has two in a row; it is ASCII without wildcards.
fn entry_name(scanner: &mut Scanner<'_>) -> Reading<String> {
    const WRONG: Misread = Misread("an entry's name begins with /private/ or /shared/");
    let name = scanner.text()?.to_ascii_lowercase();
    let legal = name.len() <= ENTRY_NAME_MAX
        && name.bytes().all(|octet| matches!(octet, b' '..=b'~') && octet != b'*' && octet != b'%')
        && !name.ends_with('/')
        && !name.contains("//");
    let placed = ["/private", "/shared"]
        .iter()
        .any(|root| name.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
    if legal && placed { Ok(name) } else { Err(WRONG) }
}

fn get_metadata(scanner: &mut Scanner<'_>) -> Reading<GetMetadata> {
    let mut get = GetMetadata { mailbox: None, entries: Vec::new(), depth: Depth::Zero, size_max: None };
    // RFC 5464 §4.2: options stand before the mailbox; §4.2.1's examples and many clients put them behind it.
    let before = scanner.peek() == Some(b'(');
    if before {
        metadata_options(scanner, &mut get)?;
        scanner.space()?;
    }
    get.mailbox = mailbox_or_server(scanner)?;
    scanner.space()?;
    let is_options = matches!(scanner.rest(), [b'(', letter, ..] if letter.is_ascii_alphabetic());
    if !before && is_options {
        metadata_options(scanner, &mut get)?;
        scanner.space()?;
    }
    get.entries = match scanner.peek() {
        Some(b'(') => list_of(scanner, ENTRIES_MAX, entry_name)?,
        _ => vec![entry_name(scanner)?],
    };
    if get.entries.is_empty() { Err(Misread("an entry is missing")) } else { Ok(get) }
}

fn metadata_options(scanner: &mut Scanner<'_>, get: &mut GetMetadata) -> Reading<()> {
    scanner.list(|scanner| {
        let option = scanner.atom()?.to_ascii_uppercase();
        scanner.space()?;
        match option.as_slice() {
            b"MAXSIZE" => get.size_max = Some(scanner.number64()?),
            b"DEPTH" => {
                get.depth = match scanner.atom()?.to_ascii_lowercase().as_slice() {
                    b"0" => Depth::Zero,
                    b"1" => Depth::One,
                    b"infinity" => Depth::Infinity,
                    _ => return Err(Misread("DEPTH is 0, 1, or infinity")),
                }
            }
            _ => return Err(Misread("GETMETADATA knows MAXSIZE and DEPTH")),
        }
        Ok(())
    })
}

fn set_metadata(scanner: &mut Scanner<'_>) -> Reading<Command> {
    let mailbox = mailbox_or_server(scanner)?;
    scanner.space()?;
    let entries = list_of(scanner, ENTRIES_MAX, |scanner| {
        let name = entry_name(scanner)?;
        scanner.space()?;
        let value = match scanner.peek() {
            Some(b'~') => Some(scanner.any_literal()?.to_vec()),
            _ => scanner.nstring()?.map(|value| value.into_owned()),
        };
        Ok((name, value))
    })?;
    if entries.is_empty() { Err(Misread("an entry is missing")) } else { Ok(Command::SetMetadata(mailbox, entries)) }
}

fn mailbox_and_identifier(scanner: &mut Scanner<'_>) -> Reading<(MailboxName, String)> {
    let mailbox = MailboxName::scan(scanner)?;
    scanner.space()?;
    let identifier = scanner.text()?;
    let legal = (1..=512).contains(&identifier.len()) && !identifier.chars().any(char::is_control);
    if legal { Ok((mailbox, identifier)) } else { Err(Misread("nobody can be called so")) }
}

fn set_acl(scanner: &mut Scanner<'_>) -> Reading<Command> {
    let (mailbox, identifier) = mailbox_and_identifier(scanner)?;
    scanner.space()?;
    let text = scanner.text()?;
    let (how, letters) = match text.as_bytes().first() {
        Some(b'+') => (Change::Add, &text[1..]),
        Some(b'-') => (Change::Remove, &text[1..]),
        _ => (Change::Replace, &text[..]),
    };
    // RFC 4314 §3.1: rights are lower-case letters and digits; an unrecognized one is BAD.
    if !letters.bytes().all(|letter| b"lrswipkxteacd".contains(&letter)) {
        return Err(Misread("rights are l, r, s, w, i, p, k, x, t, e, a"));
    }
    // RFC 4314 §2.1.1: what clients of RFC 2086 call c and d.
    let mut rights: Vec<char> = letters.replace('c', "kx").replace('d', "te").chars().collect();
    rights.sort_unstable();
    rights.dedup();
    Ok(Command::SetAcl { mailbox, identifier, how, rights: rights.into_iter().collect() })
}
