//! Spaces for files: from tables to settings, and what `config check` finds when it looks at the disk and the accounts.
//!
//! Invariants: no space gives away the data directory; each complaint names its line, its key and a way out.
//! Not here: who sees what in the end (server).

use super::read::{Complaint, Config, SpaceTable, Values};
use directory::address::{Address, hosted_domain};
use files::{JailedPath, Permissions, Quota};
use rustix::fs::{Access, access};
use server::settings::{FileSettings, GuestSettings, PERMISSION_WORDS, SpaceRule, SpaceSettings, Whom};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The folder of the data directory that holds spaces without a path of their own.
const SHARED: &str = "spaces";

/// Letters in the name of a space.
const NAME_MAX: usize = 64;

/// Whom the directory knows.
pub struct Known {
    /// Names of accounts.
    pub accounts: Vec<String>,
    /// Names of domains.
    pub domains: Vec<String>,
}

/// Builds what the configuration says of files, and of those without an account.
pub fn build(
    config: &Config,
    data_dir: &Path,
    complaints: &mut Vec<Complaint>,
) -> (FileSettings, Option<GuestSettings>) {
    let mut builder = Builder { complaints, data_dir };
    let values = &config.values;
    let spaces: Vec<SpaceSettings> = config.spaces.iter().filter_map(|table| builder.space(table)).collect();
    builder.compare(config, &spaces);
    let own = Permissions::from_word(&values.text_of("files.own_space")).unwrap_or(Permissions::NONE);
    let keep_interrupted = Duration::from_secs(values.count("files.keep_interrupted_secs"));
    let guests = builder.guests(values, &spaces);
    (FileSettings { own, keep_interrupted, spaces }, guests)
}

struct Builder<'b> {
    complaints: &'b mut Vec<Complaint>,
    data_dir: &'b Path,
}

impl Builder<'_> {
    fn complain(&mut self, values: &Values, key: &str, message: String) {
        self.complaints.push(Complaint { line: values.line(key), message });
    }

    fn guests(&mut self, values: &Values, spaces: &[SpaceSettings]) -> Option<GuestSettings> {
        let (is_on, welcome) = (values.text_of("ftp.anonymous") == "yes", values.path("ftp.anonymous_welcome"));
        let sessions_max = u32::try_from(values.count("ftp.anonymous_sessions_max")).unwrap_or(u32::MAX);
        if is_on && !spaces.iter().any(|space| space.members.contains(&Whom::Guests)) {
            self.complain(
                values,
                "ftp.anonymous",
                "ftp.anonymous: there is nothing to see; add a [[space]] with for = [\"anonymous\"]".into(),
            );
        }
        is_on.then_some(GuestSettings { sessions_max, welcome })
    }

    fn space(&mut self, table: &SpaceTable) -> Option<SpaceSettings> {
        let SpaceTable { values, rules } = table;
        let name = self.name(values);
        let of = name.as_deref().unwrap_or("?").to_string();
        let path = values.path("path");
        self.check_path(values, &of, path.as_deref());
        let at = self.place(values, &of, "at");
        let members = self.whom(values, &of);
        if members.is_empty() {
            self.complain(
                values,
                "for",
                format!("space {of}: for: nobody has it; name accounts, @domains, all or anonymous"),
            );
        }
        let permissions = self.permissions(values, &of);
        let rules: Vec<Option<SpaceRule>> = rules.iter().map(|rule| self.rule(rule, &of)).collect();
        let (file_mode, directory_mode) =
            (self.mode(values, &of, "file_mode", 0o600), self.mode(values, &of, "directory_mode", 0o700));
        let most = |key| Some(values.count(key)).filter(|most| *most > 0);
        Some(SpaceSettings {
            quota: Quota { bytes_max: most("quota_bytes"), files_max: most("quota_files") },
            keep_interrupted: Duration::from_secs(values.count("keep_interrupted_secs")),
            file_mode: file_mode?,
            directory_mode: directory_mode?,
            name: name?,
            path,
            at: at?,
            members,
            permissions: permissions?,
            rules: rules.into_iter().collect::<Option<_>>()?,
            first_files: &[],
        })
    }

    fn name(&mut self, values: &Values) -> Option<String> {
        let name = values.text_of("name");
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        if (1..=NAME_MAX).contains(&name.len()) && name.chars().all(fits) {
            return Some(name);
        }
        let message = format!("space: name: {name} must be small letters, digits, - and _, at most {NAME_MAX}");
        self.complain(values, "name", message);
        None
    }

    /// The store must not be in anybody's reach, nor what other accounts have of their own.
    fn check_path(&mut self, values: &Values, space: &str, path: Option<&Path>) {
        let Some(path) = path else { return };
        let is_ours = path.starts_with(self.data_dir) && !path.starts_with(self.data_dir.join(SHARED));
        if is_ours || self.data_dir.starts_with(path) {
            let message = format!(
                "space {space}: path: {} would show the data directory; take a directory elsewhere, or none, which means {}",
                path.display(),
                self.data_dir.join(SHARED).join(space).display()
            );
            self.complain(values, "path", message);
        }
    }

    fn place(&mut self, values: &Values, space: &str, key: &'static str) -> Option<JailedPath> {
        let text = values.text_of(key);
        let parsed = text.starts_with('/').then(|| JailedPath::parse(text.as_bytes(), &JailedPath::root()).ok());
        let place = parsed.flatten().filter(|path| path.as_bytes() == text.as_bytes());
        if place.is_none() {
            let message = format!(
                "space {space}: {key}: {text} is not a path as /shared/projects, without . and .. and / at its end"
            );
            self.complain(values, key, message);
        }
        place
    }

    fn whom(&mut self, values: &Values, space: &str) -> Vec<Whom> {
        let mut whom = Vec::new();
        for text in values.list("for") {
            match meant(&text) {
                Some(one) => whom.push(one),
                None => {
                    let message = format!(
                        "space {space}: for: {text} is neither an address, nor a domain as @example.org, nor all, nor anonymous"
                    );
                    self.complain(values, "for", message);
                }
            }
        }
        whom
    }

    fn permissions(&mut self, values: &Values, space: &str) -> Option<Permissions> {
        let words = values.list("permissions").join(",");
        Permissions::from_words(&words)
            .map_err(|word| {
                let message = format!("space {space}: permissions: there is no {word}; {PERMISSION_WORDS}");
                self.complain(values, "permissions", message);
            })
            .ok()
    }

    /// The server must be able to use what it has made, so its owner has these at least.
    fn mode(&mut self, values: &Values, space: &str, key: &'static str, owner: u32) -> Option<u32> {
        let text = values.text_of(key);
        let digits = matches!(text.len(), 3 | 4) && text.bytes().all(|digit| digit.is_ascii_digit());
        let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| digits && *mode <= 0o777 && mode & owner == owner);
        if mode.is_none() {
            let message =
                format!("space {space}: {key}: {text} is no mode from {owner:04o} to 0777, as 0{:o}", owner | 0o44);
            self.complain(values, key, message);
        }
        mode
    }

    fn rule(&mut self, values: &Values, space: &str) -> Option<SpaceRule> {
        let (at, whom) = (self.place(values, space, "path"), self.whom(values, space));
        let permissions = self.permissions(values, space);
        Some(SpaceRule { at: at?, whom, permissions: permissions? })
    }

    /// What is wrong with two of them only together.
    fn compare(&mut self, config: &Config, spaces: &[SpaceSettings]) {
        for (at, space) in spaces.iter().enumerate() {
            let Some(values) = config.spaces.iter().map(|table| &table.values).find(|v| is_named(v, &space.name))
            else {
                continue;
            };
            for other in &spaces[..at] {
                if other.name == space.name {
                    self.complain(values, "name", format!("space {}: there is another of that name", space.name));
                }
                if let (Some(one), Some(two)) = (&space.path, &other.path)
                    && (one.starts_with(two) || two.starts_with(one))
                {
                    self.complain(values, "path", overlap(&space.name, &other.name));
                }
                let both = |whom: &Whom| other.members.iter().any(|member| member.meets(whom));
                if other.at == space.at && space.members.iter().any(both) {
                    let message = format!(
                        "space {}: at: {} is where some of its members have space {}; take another place for one of them",
                        space.name, space.at, other.name
                    );
                    self.complain(values, "at", message);
                }
            }
        }
    }
}

fn is_named(values: &Values, name: &str) -> bool {
    values.text("name").as_deref() == Some(name)
}

fn overlap(one: &str, two: &str) -> String {
    format!(
        "space {one}: path: it lies in the directory of space {two}, or the other way round, and each would count and clean up \
         what is the other's; give one of them another directory, or a [[space.rule]] instead"
    )
}

/// An account, a domain, everybody or strangers.
fn meant(text: &str) -> Option<Whom> {
    match text {
        "all" => Some(Whom::Accounts),
        "anonymous" => Some(Whom::Guests),
        _ => match text.strip_prefix('@') {
            Some(domain) => hosted_domain(domain).ok().map(Whom::Domain),
            None => Address::parse(text).ok().filter(Address::is_plain).map(|address| Whom::Account(address.key())),
        },
    }
}

/// What is wrong with spaces that only a look at the disk and at the accounts shows. `known` is nothing where there is no
/// store yet.
pub fn look(config: &Config, settings: &FileSettings, known: Option<&Known>) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut real: Vec<(PathBuf, &str)> = Vec::new();
    for (table, space) in config.spaces.iter().zip(&settings.spaces) {
        let values = &table.values;
        if let Some(path) = &space.path {
            let wrong =
                wrong_with(path, space).map(|why| format!("space {}: path: {} {why}", space.name, path.display()));
            complaints.extend(wrong.map(|message| Complaint { line: values.line("path"), message }));
            if let Ok(place) = path.canonicalize() {
                let other = real.iter().find(|(other, _)| place.starts_with(other) || other.starts_with(&place));
                let message = other.map(|(_, other)| overlap(&space.name, other));
                complaints.extend(message.map(|message| Complaint { line: values.line("path"), message }));
                real.push((place, &space.name));
            }
        }
        let tables = std::iter::once((values, &space.members));
        let rules = table.rules.iter().zip(space.rules.iter().map(|rule| &rule.whom));
        for (values, whom) in tables.chain(rules) {
            let strangers = whom.iter().filter_map(|whom| known.and_then(|known| stranger(known, whom)));
            complaints.extend(strangers.map(|why| Complaint {
                line: values.line("for"),
                message: format!("space {}: for: {why}", space.name),
            }));
        }
    }
    complaints
}

fn wrong_with(path: &Path, space: &SpaceSettings) -> Option<String> {
    if !path.exists() {
        return Some("is not there; make it, or mount it".into());
    }
    if !path.is_dir() {
        return Some("is not a directory".into());
    }
    let changes = |permissions: Permissions| permissions - Permissions::READ_ONLY != Permissions::NONE;
    let is_changed = changes(space.permissions) || space.rules.iter().any(|rule| changes(rule.permissions));
    let wanted = if is_changed {
        Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK
    } else {
        Access::READ_OK | Access::EXEC_OK
    };
    if access(path, wanted).is_err() {
        let what = if is_changed { "write" } else { "read" };
        return Some(format!("is not for us to {what}; give it to the system user of the server"));
    }
    let missing = space.rules.iter().find(|rule| !under(path, &rule.at).is_dir())?;
    Some(format!("has no directory {}, of which a rule speaks; make it", missing.at))
}

fn under(path: &Path, at: &JailedPath) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    at.names().fold(path.to_path_buf(), |path, name| path.join(std::ffi::OsStr::from_bytes(name)))
}

fn stranger(known: &Known, whom: &Whom) -> Option<String> {
    match whom {
        Whom::Account(name) if !known.accounts.contains(name) => {
            Some(format!("there is no account {name}; make it with `packetboat account add {name}`"))
        }
        Whom::Domain(name) if !known.domains.contains(name) => {
            Some(format!("there is no domain {name}; add it with `packetboat domain add {name}`"))
        }
        _ => None,
    }
}

/// What may be meant otherwise.
pub fn advice(settings: &FileSettings, guests: Option<&GuestSettings>) -> Vec<String> {
    let mut advice = Vec::new();
    for space in settings.spaces.iter().filter(|space| space.members.contains(&Whom::Guests)) {
        if guests.is_none() {
            advice.push(format!("space {} is for anonymous, who may not log in: ftp.anonymous is \"no\".", space.name));
        }
        if space.permissions.allow(Permissions::READ) && space.permissions != Permissions::READ_ONLY {
            advice.push(format!(
                "space {} permits {}; anonymous gets no more of it than read-only.",
                space.name, space.permissions
            ));
        }
    }
    advice
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "host_name = 'a.test'\ndata_dir = '/var/lib/packetboat'\n";

    fn built(text: &str) -> (FileSettings, Vec<String>) {
        let config = Config::read(&format!("{HEAD}{text}"), Path::new("/etc")).expect("it can be read");
        let mut complaints = Vec::new();
        let (files, _) = build(&config, Path::new("/var/lib/packetboat"), &mut complaints);
        (files, complaints.iter().map(Complaint::to_string).collect())
    }

    #[test]
    fn modes_are_octal_and_leave_the_server_what_it_needs() {
        let with = |keys: &str| built(&format!("[[space]]\nname = 'a'\nat = '/a'\nfor = ['all']\n{keys}"));
        let (files, complaints) = with("file_mode = '0664'\ndirectory_mode = '775'\n");
        assert_eq!(complaints, Vec::<String>::new());
        assert_eq!((files.spaces[0].file_mode, files.spaces[0].directory_mode), (0o664, 0o775));
        for wrong in ["0400", "66", "0668", "4755", "+640", "rw-r--r--"] {
            let (_, complaints) = with(&format!("file_mode = '{wrong}'\n"));
            assert!(
                complaints[0].contains(&format!("file_mode: {wrong} is no mode from 0600 to 0777")),
                "{complaints:?}"
            );
        }
        assert!(!with("directory_mode = '0644'\n").1.is_empty());
        let (unset, _) = with("");
        assert_eq!((unset.spaces[0].file_mode, unset.spaces[0].directory_mode), (0o640, 0o750));
        let usual = files::Terms::default();
        assert_eq!((usual.file_mode, usual.directory_mode), (0o640, 0o750), "as in accounts' own spaces");
    }

    #[test]
    fn a_space_says_where_for_whom_and_what() {
        let (files, complaints) = built(
            "[files]\nown_space = 'read-only'\n\
             [[space]]\nname = 'projects'\npath = 'shared'\nat = '/shared/projects'\n\
             for = ['Alice@Crepes.test', '@hamburger.test', 'anonymous']\npermissions = ['list', 'read', 'create']\nquota_files = 10\n\
             [[space.rule]]\npath = '/in'\nfor = ['all']\npermissions = ['drop-box']\n\
             [[space]]\nname = 'pub'\nat = '/pub'\nfor = ['all']\n",
        );
        assert_eq!(complaints, Vec::<String>::new());
        assert_eq!(files.own, Permissions::READ_ONLY);
        let [projects, public] = &files.spaces[..] else { panic!("two spaces: {files:?}") };
        assert_eq!(
            (projects.at.to_string(), projects.path.as_deref()),
            ("/shared/projects".into(), Some(Path::new("/etc/shared")))
        );
        assert_eq!(
            projects.members,
            [Whom::Account("alice@crepes.test".into()), Whom::Domain("hamburger.test".into()), Whom::Guests]
        );
        assert_eq!(projects.permissions, Permissions::READ_ONLY | Permissions::CREATE);
        assert_eq!(projects.quota, Quota { bytes_max: None, files_max: Some(10) });
        assert_eq!(
            (projects.rules[0].at.to_string(), projects.rules[0].permissions),
            ("/in".into(), Permissions::DROP_BOX)
        );
        assert_eq!((public.path.as_ref(), public.permissions), (None, Permissions::ALL));
    }

    #[test]
    fn each_complaint_names_its_line_its_key_and_a_way_out() {
        for (text, complaint) in [
            (
                "[ftp]\nanonymous = 'yes'\n",
                "line 4: ftp.anonymous: there is nothing to see; add a [[space]] with for = [\"anonymous\"]",
            ),
            (
                "[[space]]\nname = 'A b'\nat = '/a'\nfor = ['all']\n",
                "line 4: space: name: A b must be small letters, digits, - and _, at most 64",
            ),
            (
                "[[space]]\nname = 'a'\nat = 'a'\nfor = ['all']\n",
                "line 5: space a: at: a is not a path as /shared/projects, without . and .. and / at its end",
            ),
            (
                "[[space]]\nname = 'a'\nat = '/a/../b'\nfor = ['all']\n",
                "line 5: space a: at: /a/../b is not a path as /shared/projects, without . and .. and / at its end",
            ),
            (
                "[[space]]\nname = 'a'\nat = '/a'\nfor = []\n",
                "line 6: space a: for: nobody has it; name accounts, @domains, all or anonymous",
            ),
            (
                "[[space]]\nname = 'a'\nat = '/a'\nfor = ['al', 'all']\n",
                "line 6: space a: for: al is neither an address, nor a domain as @example.org, nor all, nor anonymous",
            ),
        ] {
            assert_eq!(built(text).1, [complaint], "{text}");
        }
        let (_, complaints) = built(
            "[[space]]\nname = 'a'\nat = '/a'\nfor = ['all']\npermissions = ['fly']\n[[space.rule]]\npath = 'in'\npermissions = ['none']\n",
        );
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        assert!(
            complaints[0].starts_with("line 7: space a: permissions: there is no fly; the words are full"),
            "{complaints:?}"
        );
        assert!(complaints[1].starts_with("line 9: space a: path: in is not a path"), "{complaints:?}");
    }

    #[test]
    fn nobody_is_given_the_data_directory() {
        for path in ["/", "/var", "/var/lib/packetboat", "/var/lib/packetboat/files", "/var/lib/packetboat/seg/x"] {
            let (_, complaints) = built(&format!("[[space]]\nname = 'a'\npath = '{path}'\nat = '/a'\nfor = ['all']\n"));
            assert!(
                complaints.iter().any(|one| one.contains("would show the data directory")),
                "{path}: {complaints:?}"
            );
        }
        for path in ["/var/lib/packetboat2", "/var/lib/packetboat/spaces/mine", "/srv"] {
            let (_, complaints) = built(&format!("[[space]]\nname = 'a'\npath = '{path}'\nat = '/a'\nfor = ['all']\n"));
            assert_eq!(complaints, Vec::<String>::new(), "{path}");
        }
    }

    #[test]
    fn two_spaces_have_two_names_two_directories_and_two_places() {
        let two = |one: &str, two: &str| built(&format!("[[space]]\n{one}\n[[space]]\n{two}\n")).1;
        let a = "name = 'a'\npath = '/srv/a'\nat = '/a'\nfor = ['all']";
        for (b, key) in [
            ("name = 'a'\npath = '/srv/b'\nat = '/b'\nfor = ['all']", "name"),
            ("name = 'b'\npath = '/srv/a/b'\nat = '/b'\nfor = ['all']", "path"),
            ("name = 'b'\npath = '/srv'\nat = '/b'\nfor = ['all']", "path"),
            ("name = 'b'\npath = '/srv/b'\nat = '/a'\nfor = ['bob@b.test']", "at"),
        ] {
            let complaints = two(a, b);
            assert_eq!(complaints.len(), 1, "{b}: {complaints:?}");
            assert!(
                complaints[0].contains("line ") && (complaints[0].contains(&format!(": {key}: ")) || key == "name"),
                "{complaints:?}"
            );
        }
        let guests = "name = 'b'\npath = '/srv/b'\nat = '/a'\nfor = ['anonymous']";
        assert_eq!(two(a, guests), Vec::<String>::new(), "nobody is both");
    }

    #[test]
    fn a_look_finds_what_is_missing() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir_all(dir.path().join("there/deep")).expect("a directory");
        std::os::unix::fs::symlink(dir.path().join("there"), dir.path().join("link")).expect("a link");
        std::fs::write(dir.path().join("file"), "").expect("a file");
        let looked = |text: &str| {
            let config = Config::read(&format!("{HEAD}{text}"), dir.path()).expect("it can be read");
            let mut complaints = Vec::new();
            let (files, _) = build(&config, Path::new("/var/lib/packetboat"), &mut complaints);
            assert_eq!(complaints, []);
            let known = Known { accounts: vec!["bob@b.test".into()], domains: vec!["b.test".into()] };
            look(&config, &files, Some(&known)).iter().map(Complaint::to_string).collect::<Vec<_>>()
        };
        let space = |name: &str, path: &str, whom: &str| {
            format!("[[space]]\nname = '{name}'\npath = '{path}'\nat = '/{name}'\nfor = ['{whom}']\n")
        };
        assert_eq!(looked(&space("a", "there", "bob@b.test")), Vec::<String>::new());
        for (text, line, words) in [
            (space("a", "none", "all"), 5, "is not there; make it, or mount it"),
            (space("a", "file", "all"), 5, "is not a directory"),
            (space("a", "there", "eve@b.test"), 7, "there is no account eve@b.test; make it with"),
            (space("a", "there", "@c.test"), 7, "there is no domain c.test; add it with"),
            (
                space("a", "there", "all") + "[[space.rule]]\npath = '/in'\npermissions = ['none']\n",
                5,
                "has no directory /in",
            ),
            (space("a", "there", "all") + &space("b", "link/deep", "all"), 10, "lies in the directory of space a"),
        ] {
            let found = looked(&text);
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].starts_with(&format!("line {line}: ")) && found[0].contains(words), "{found:?}");
        }
    }
}
