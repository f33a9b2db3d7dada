//! Writing commands, so that what was read can be said again.
//!
//! Strings that do not fit into quotes become literals `{n}`; a client has to wait behind each for the word to go on.
//!
//! Not here: APPEND and REPLACE, whose messages pass by.

use super::notify::Filter;
use super::parse::{RESOURCES, SORT_NAMES};
use super::*;
use crate::flag::Flags;
use crate::reply::Pen;
use crate::search::{Clock, Field, Key, Messages, When};
use crate::server::ask::Among;

impl Command {
    /// Writes the command with this tag, as a line; mailbox names in UTF-8 if that is enabled.
    pub fn write(&self, tag: &[u8], utf8: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(tag);
        out.push(b' ');
        let mut line = Line { out, utf8 };
        line.command(self);
        line.out.extend_from_slice(b"\r\n");
    }

    /// The same with UID before it.
    pub fn write_uid(&self, tag: &[u8], utf8: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(tag);
        out.extend_from_slice(b" UID ");
        let mut line = Line { out, utf8 };
        line.command(self);
        line.out.extend_from_slice(b"\r\n");
    }
}

struct Line<'a> {
    out: &'a mut Vec<u8>,
    utf8: bool,
}

impl Line<'_> {
    fn raw(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        self.out.extend_from_slice(text.as_ref());
        self
    }

    fn string(&mut self, octets: &[u8]) -> &mut Self {
        Pen(self.out).string(octets);
        self
    }

    fn mailbox(&mut self, mailbox: &MailboxName) -> &mut Self {
        Pen(self.out).mailbox(mailbox, self.utf8);
        self
    }

    fn flags(&mut self, flags: &Flags) -> &mut Self {
        Pen(self.out).flags(flags);
        self
    }

    fn named(&mut self, messages: &Named) -> &mut Self {
        match messages {
            Named::Set(set) => self.raw(set.to_string()),
            Named::Saved => self.raw("$"),
        }
    }

    /// Words with blanks between them, in parentheses.
    fn list<T>(&mut self, items: &[T], mut item: impl FnMut(&mut Self, &T)) -> &mut Self {
        self.raw("(");
        for (at, it) in items.iter().enumerate() {
            self.raw(if at > 0 { " " } else { "" });
            item(self, it);
        }
        self.raw(")")
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Capability => self.raw("CAPABILITY"),
            Command::Noop => self.raw("NOOP"),
            Command::Logout => self.raw("LOGOUT"),
            Command::Compress(algorithm) => self.raw("COMPRESS ").raw(algorithm),
            Command::Starttls => self.raw("STARTTLS"),
            Command::Unauthenticate => self.raw("UNAUTHENTICATE"),
            Command::Namespace => self.raw("NAMESPACE"),
            Command::Idle => self.raw("IDLE"),
            Command::Check => self.raw("CHECK"),
            Command::Close => self.raw("CLOSE"),
            Command::Unselect => self.raw("UNSELECT"),
            Command::Id(fields) if fields.is_empty() => self.raw("ID NIL"),
            Command::Id(fields) => self.raw("ID ").list(fields, |line, (name, value)| {
                Pen(line.out).string(name.as_bytes()).word(" ").nstring(value.as_deref().map(str::as_bytes));
            }),
            Command::Login { user, password } => self.raw("LOGIN ").string(user).raw(" ").string(password.reveal()),
            Command::Authenticate { mechanism, initial } => {
                self.raw("AUTHENTICATE ").raw(mechanism);
                match initial {
                    Some(initial) => self.raw(" ").raw(initial.reveal()),
                    None => self,
                }
            }
            Command::Enable(words) => self.raw("ENABLE ").raw(words.join(" ")),
            Command::Select(select) => self.select(select),
            Command::Create { mailbox, uses } => {
                self.raw("CREATE ").mailbox(mailbox);
                match uses.is_empty() {
                    true => self,
                    false => self
                        .raw(" (USE ")
                        .list(uses, |line, it| {
                            line.raw(it.name());
                        })
                        .raw(")"),
                }
            }
            Command::Delete(mailbox) => self.raw("DELETE ").mailbox(mailbox),
            Command::Rename(from, to) => self.raw("RENAME ").mailbox(from).raw(" ").mailbox(to),
            Command::Subscribe { mailbox, subscribed } => {
                self.raw(if *subscribed { "SUBSCRIBE " } else { "UNSUBSCRIBE " }).mailbox(mailbox)
            }
            Command::List(list) => self.list_command(list),
            Command::Lsub(pattern) => self.raw("LSUB \"\" ").pattern(pattern),
            Command::Status(mailbox, items) => self.raw("STATUS ").mailbox(mailbox).raw(" ").status_items(items),
            Command::Expunge(None) => self.raw("EXPUNGE"),
            Command::Expunge(Some(messages)) => self.raw("EXPUNGE ").named(messages),
            Command::Search(search) => self.raw("SEARCH ").returned(search).program(&search.program),
            Command::Esearch(sources, search) => {
                self.raw("ESEARCH IN ").list(sources, |line, source| line.source(source));
                self.raw(" ").returned(search).program(&search.program)
            }
            Command::Sort(keys, search) => {
                self.raw("SORT ").returned(search);
                self.list(keys, |line, key| {
                    let name = SORT_NAMES.iter().find(|(by, _)| *by == key.by).map_or("", |(_, name)| name);
                    line.raw(if key.reverse { "REVERSE " } else { "" }).raw(name);
                });
                self.raw(" UTF-8 ").program(&search.program)
            }
            Command::Thread(algorithm, program) => {
                self.raw("THREAD ").raw(match algorithm {
                    ThreadAlgorithm::OrderedSubject => "ORDEREDSUBJECT",
                    ThreadAlgorithm::References => "REFERENCES",
                    ThreadAlgorithm::Refs => "REFS",
                });
                self.raw(" UTF-8 ").program(program)
            }
            Command::BadCharset { saves: true } => self.raw("SEARCH RETURN (SAVE) CHARSET X-UNKNOWN ALL"),
            Command::BadCharset { .. } => self.raw("SEARCH CHARSET X-UNKNOWN ALL"),
            Command::Fetch(fetch) => self.fetch(fetch),
            Command::Store(store) => self.store(store),
            Command::Copy { messages, to, remove } => {
                self.raw(if *remove { "MOVE " } else { "COPY " }).named(messages).raw(" ").mailbox(to)
            }
            Command::Uidbatches { size, batches } => {
                self.raw(format!("UIDBATCHES {size}"));
                match batches {
                    Some((first, last)) => self.raw(format!(" {first}:{last}")),
                    None => self,
                }
            }
            Command::GetQuota(root) => self.raw("GETQUOTA ").string(root.as_bytes()),
            Command::GetQuotaRoot(mailbox) => self.raw("GETQUOTAROOT ").mailbox(mailbox),
            Command::SetQuota(root, limits) => {
                self.raw("SETQUOTA ").string(root.as_bytes()).raw(" ").list(limits, |line, (resource, limit)| {
                    let name = RESOURCES.iter().find(|(it, _)| it == resource).map_or("", |(_, name)| name);
                    line.raw(format!("{name} {limit}"));
                })
            }
            Command::GetMetadata(get) => self.get_metadata(get),
            Command::SetMetadata(mailbox, entries) => {
                self.raw("SETMETADATA ").mailbox_or_server(mailbox.as_ref()).raw(" ");
                self.list(entries, |line, (name, value)| {
                    line.string(name.as_bytes()).raw(" ");
                    match value {
                        Some(value) if value.contains(&0) => {
                            Pen(line.out).literal8_head(value.len() as u64);
                            line.raw(value)
                        }
                        Some(value) => line.string(value),
                        None => line.raw("NIL"),
                    };
                })
            }
            Command::GetAcl(mailbox) => self.raw("GETACL ").mailbox(mailbox),
            Command::SetAcl { mailbox, identifier, how, rights } => {
                let sign = match how {
                    Change::Add => "+",
                    Change::Remove => "-",
                    Change::Replace => "",
                };
                self.raw("SETACL ").mailbox(mailbox).raw(" ").string(identifier.as_bytes());
                self.raw(" ").string(format!("{sign}{rights}").as_bytes())
            }
            Command::DeleteAcl(mailbox, identifier) => {
                self.raw("DELETEACL ").mailbox(mailbox).raw(" ").string(identifier.as_bytes())
            }
            Command::ListRights(mailbox, identifier) => {
                self.raw("LISTRIGHTS ").mailbox(mailbox).raw(" ").string(identifier.as_bytes())
            }
            Command::Notify(notify) => self.notify(notify),
            Command::GenUrlAuth(urls) => {
                self.raw("GENURLAUTH");
                for (url, mechanism) in urls {
                    self.raw(" ").string(url.as_bytes()).raw(" ").raw(mechanism);
                }
                self
            }
            Command::ResetKey(mailbox, mechanisms) => {
                self.raw("RESETKEY");
                if let Some(mailbox) = mailbox {
                    self.raw(" ").mailbox(mailbox);
                }
                for mechanism in mechanisms {
                    self.raw(" ").raw(mechanism);
                }
                self
            }
            Command::UrlFetch(urls) => {
                self.raw("URLFETCH");
                for url in urls {
                    self.raw(" ").string(url);
                }
                self
            }
            Command::CancelUpdate(tags) => {
                self.raw("CANCELUPDATE");
                for tag in tags {
                    Pen(self.out).word(" ").quoted_tag(tag);
                }
                self
            }
            Command::MyRights(mailbox) => self.raw("MYRIGHTS ").mailbox(mailbox),
        };
    }

    fn select(&mut self, select: &Select) -> &mut Self {
        self.raw(if select.read_only { "EXAMINE " } else { "SELECT " }).mailbox(&select.mailbox);
        let mut options = Vec::new();
        if select.condstore {
            options.push("CONDSTORE".to_owned());
        }
        if let Some(Resync { uidvalidity, modseq, known, matched }) = &select.resync {
            let known = known.as_ref().map(|known| format!(" {known}")).unwrap_or_default();
            let matched = matched.as_ref().map(|(numbers, uids)| format!(" ({numbers} {uids})")).unwrap_or_default();
            options.push(format!("QRESYNC ({uidvalidity} {modseq}{known}{matched})"));
        }
        if options.is_empty() { self } else { self.raw(format!(" ({})", options.join(" "))) }
    }

    fn pattern(&mut self, pattern: &Pattern) -> &mut Self {
        // What begins with the separator stands for itself, whatever the reference.
        let text = pattern.as_str();
        let wire = if self.utf8 { text.to_owned() } else { crate::name::pattern_to_wire(text) };
        self.string(wire.as_bytes())
    }

    fn list_command(&mut self, list: &List) -> &mut Self {
        self.raw("LIST ");
        let options = [
            (list.subscribed, "SUBSCRIBED"),
            (list.remote, "REMOTE"),
            (list.recursive, "RECURSIVEMATCH"),
            (list.special_use, "SPECIAL-USE"),
        ];
        let options: Vec<&str> = options.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
        if !options.is_empty() {
            self.raw("(").raw(options.join(" ")).raw(") ");
        }
        match &list.root {
            Some(root) => {
                let wire = if self.utf8 { root.clone() } else { crate::name::pattern_to_wire(root) };
                self.string(wire.as_bytes()).raw(" \"\"");
            }
            None => {
                self.raw("\"\" ").list(&list.patterns, |line, pattern| {
                    line.pattern(pattern);
                });
            }
        }
        if list.returned.said { self.returned_of_list(&list.returned) } else { self }
    }

    fn returned_of_list(&mut self, returned: &Returned) -> &mut Self {
        let mut first = true;
        self.raw(" RETURN (");
        let words = [
            (returned.subscribed, "SUBSCRIBED"),
            (returned.children, "CHILDREN"),
            (returned.special_use, "SPECIAL-USE"),
            (returned.myrights, "MYRIGHTS"),
        ];
        for (_, word) in words.into_iter().filter(|(set, _)| *set) {
            Pen(self.out).gap(&mut first).word(word);
        }
        if !returned.status.is_empty() {
            Pen(self.out).gap(&mut first).word("STATUS ");
            self.status_items(&returned.status);
        }
        if !returned.metadata.is_empty() {
            Pen(self.out).gap(&mut first).word("METADATA ");
            self.list(&returned.metadata, |line, name| {
                line.string(name.as_bytes());
            });
        }
        self.raw(")")
    }

    fn status_items(&mut self, items: &[StatusItem]) -> &mut Self {
        self.list(items, |line, item| {
            line.raw(item.name());
        })
    }

    fn window(&mut self, window: Window) -> &mut Self {
        let sign = if window.from_end { "-" } else { "" };
        self.raw(format!("PARTIAL {sign}{}:{sign}{}", window.first, window.last))
    }

    fn returned(&mut self, search: &Search) -> &mut Self {
        let Some(results) = &search.returned else { return self };
        let words = [
            (results.min, "MIN"),
            (results.max, "MAX"),
            (results.all, "ALL"),
            (results.count, "COUNT"),
            (results.save, "SAVE"),
            (results.context, "CONTEXT"),
            (results.relevancy, "RELEVANCY"),
            (search.update.is_some(), "UPDATE"),
        ];
        let mut first = true;
        self.raw("RETURN (");
        for (_, word) in words.into_iter().filter(|(set, _)| *set) {
            Pen(self.out).gap(&mut first).word(word);
        }
        if let Some(items) = search.update.as_ref().filter(|items| !items.is_empty()) {
            self.raw(" ").list(items, |line, item| {
                Pen(line.out).item(item);
            });
        }
        if let Some(window) = results.partial {
            Pen(self.out).gap(&mut first);
            self.window(window);
        }
        self.raw(") ")
    }

    fn fetch(&mut self, fetch: &Fetch) -> &mut Self {
        self.raw("FETCH ").named(&fetch.messages).raw(" ");
        self.list(&fetch.items, |line, item| {
            Pen(line.out).item(item);
        });
        let mut first = true;
        if fetch.changed_since.is_some() || fetch.window.is_some() {
            self.raw(" (");
            if let Some(modseq) = fetch.changed_since {
                Pen(self.out).gap(&mut first);
                self.raw(format!("CHANGEDSINCE {modseq}"));
            }
            if fetch.vanished {
                Pen(self.out).gap(&mut first).word("VANISHED");
            }
            if let Some(window) = fetch.window {
                Pen(self.out).gap(&mut first);
                self.window(window);
            }
            self.raw(")");
        }
        self
    }

    fn store(&mut self, store: &Store) -> &mut Self {
        self.raw("STORE ").named(&store.messages).raw(" ");
        if let Some(modseq) = store.unchanged_since {
            self.raw(format!("(UNCHANGEDSINCE {modseq}) "));
        }
        self.raw(match store.how {
            Change::Replace => "FLAGS",
            Change::Add => "+FLAGS",
            Change::Remove => "-FLAGS",
        });
        self.raw(if store.silent { ".SILENT " } else { " " }).flags(&store.flags)
    }

    fn mailbox_or_server(&mut self, mailbox: Option<&MailboxName>) -> &mut Self {
        match mailbox {
            Some(mailbox) => self.mailbox(mailbox),
            None => self.raw("\"\""),
        }
    }

    fn get_metadata(&mut self, get: &GetMetadata) -> &mut Self {
        self.raw("GETMETADATA ");
        let depth = match get.depth {
            Depth::Zero => None,
            Depth::One => Some("DEPTH 1".to_owned()),
            Depth::Infinity => Some("DEPTH infinity".to_owned()),
        };
        let size = get.size_max.map(|size| format!("MAXSIZE {size}"));
        let options: Vec<String> = [size, depth].into_iter().flatten().collect();
        if !options.is_empty() {
            self.raw(format!("({}) ", options.join(" ")));
        }
        self.mailbox_or_server(get.mailbox.as_ref()).raw(" ");
        self.list(&get.entries, |line, name| {
            line.string(name.as_bytes());
        })
    }

    fn source(&mut self, source: &Source) {
        let (word, names) = match source {
            Source::Selected => ("selected", None),
            Source::Children(names) => ("subtree-one", Some(names)),
            Source::Among(among) => (Filter::Among(among.clone()).name(), among.names()),
        };
        self.raw(word);
        if let Some(names) = names {
            self.raw(" ").list(names, |line, name| {
                line.mailbox(name);
            });
        }
    }

    fn notify(&mut self, notify: &notify::Notify) -> &mut Self {
        let Some(groups) = &notify.groups else { return self.raw("NOTIFY NONE") };
        self.raw(if notify.status { "NOTIFY SET STATUS" } else { "NOTIFY SET" });
        for group in groups {
            self.raw(" (").raw(group.filter.name());
            if let Filter::Among(Among::Subtree(names) | Among::Mailboxes(names)) = &group.filter {
                self.raw(" ").list(names, |line, name| {
                    line.mailbox(name);
                });
            }
            self.raw(" ");
            let words = group.wanted.names();
            if words.is_empty() {
                self.raw("NONE");
            } else {
                self.list(&words, |line, word| {
                    line.raw(word);
                    if *word == "MessageNew" && !group.wanted.items.is_empty() {
                        line.raw(" ").list(&group.wanted.items, |line, item| {
                            Pen(line.out).item(item);
                        });
                    }
                });
            }
            self.raw(")");
        }
        self
    }

    fn program(&mut self, key: &Program) -> &mut Self {
        match key {
            Key::And(keys) => self.list(keys, |line, key| {
                line.program(key);
            }),
            Key::Or(keys) => self.raw("OR ").program(&keys.0).raw(" ").program(&keys.1),
            Key::Not(key) => self.raw("NOT ").program(key),
            Key::Fuzzy(key) => self.raw("FUZZY ").program(key),
            Key::Among(Messages::Sequence(set)) => self.raw(set.to_string()),
            Key::Among(Messages::Uid(set)) => self.raw(format!("UID {set}")),
            Key::Among(Messages::Saved) => self.raw("$"),
            Key::All => self.raw("ALL"),
            Key::Flag(flag) => self.raw(flag.name()[1..].to_ascii_uppercase()),
            Key::Keyword(keyword) => self.raw("KEYWORD ").raw(keyword.as_str()),
            Key::Header(name, text) => self.raw("HEADER ").string(name.as_bytes()).raw(" ").string(text.as_bytes()),
            Key::Field(field, text) => {
                let name = match field {
                    Field::Bcc => "BCC ",
                    Field::Cc => "CC ",
                    Field::From => "FROM ",
                    Field::Subject => "SUBJECT ",
                    Field::To => "TO ",
                };
                self.raw(name).string(text.as_bytes())
            }
            Key::Body(text) => self.raw("BODY ").string(text.as_bytes()),
            Key::Text(text) => self.raw("TEXT ").string(text.as_bytes()),
            Key::Date(clock, when, day) => {
                let clock = match clock {
                    Clock::Internal => "",
                    Clock::Sent => "SENT",
                    Clock::Saved => "SAVED",
                };
                let when = match when {
                    When::Before => "BEFORE",
                    When::On => "ON",
                    When::Since => "SINCE",
                };
                self.raw(format!("{clock}{when} {day}"))
            }
            Key::Larger(octets) => self.raw(format!("LARGER {octets}")),
            Key::Smaller(octets) => self.raw(format!("SMALLER {octets}")),
            Key::Older(secs) => self.raw(format!("OLDER {secs}")),
            Key::Younger(secs) => self.raw(format!("YOUNGER {secs}")),
            Key::ModSeq(modseq) => self.raw(format!("MODSEQ {modseq}")),
            Key::EmailId(id) => self.raw(format!("EMAILID {id}")),
            Key::ThreadId(id) => self.raw(format!("THREADID {id}")),
            Key::SaveDateSupported => self.raw("SAVEDATESUPPORTED"),
        }
    }
}
