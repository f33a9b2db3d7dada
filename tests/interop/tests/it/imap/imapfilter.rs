//! imapfilter: rules in Lua that search, flag, copy, move and delete.

use super::{with_letters, witness};
use crate::{certificate, port};
use interop::{bob, foreign};

#[test]
fn imapfilter_sorts_mail_by_its_rules() {
    let Some(imapfilter) = foreign("imapfilter") else { return };
    let (server, letters) = with_letters(4);
    let tokens: Vec<&str> = letters.iter().map(|letter| letter.token.as_str()).collect();
    let rules = format!(
        r#"
        options.timeout = 50
        options.create = true
        options.subscribe = true
        boat = IMAP {{ server = 'localhost', port = {port}, username = '{user}', password = '{password}', ssl = 'auto' }}
        mailboxes, folders = boat:list_all()
        exists, unread, unseen, uidnext = boat.INBOX:check_status()
        assert(exists == 4 and unseen == 4 and uidnext == 5)
        all = boat.INBOX:select_all()
        assert(#all == 4)
        first = boat.INBOX:contain_subject('{first}')
        assert(#first == 1)
        first:move_messages(boat['Sorted/First'])
        second = boat.INBOX:contain_subject('{second}') * boat.INBOX:is_unseen() * boat.INBOX:contain_from('alice')
        second:add_flags({{ '\\Flagged', 'Sorted' }})
        third = boat.INBOX:contain_body('{third}') + boat.INBOX:match_body('{third}')
        third:copy_messages(boat['Archive'])
        third:mark_seen()
        boat.INBOX:match_header('.*{fourth}.*'):delete_messages()
        boat:create_mailbox('Made')
        boat:rename_mailbox('Made', 'Renamed')
        boat:delete_mailbox('Renamed')
        "#,
        port = port(&server, "imaps"),
        user = bob().address,
        password = bob().password,
        first = tokens[0],
        second = tokens[1],
        third = tokens[2],
        fourth = tokens[3],
    );
    let rules = rules.replace("ssl = 'auto'", "ssl = 'tls1.2'");
    let (rules, log) = (imapfilter.write("rules.lua", &rules), imapfilter.path("log"));
    imapfilter.run(&["-c", &rules, "-l", &log, "-t", &certificate(&server)], b"").succeeded();
    let mut witness = witness(&server);
    assert_eq!(witness.contents("Sorted/First"), [format!("{}: ", tokens[0])]);
    assert_eq!(
        witness.contents("INBOX"),
        [format!("{}: Sorted \\Flagged", tokens[1]), format!("{}: \\Seen", tokens[2])]
    );
    assert_eq!(witness.contents("Archive"), [format!("{}: ", tokens[2])]);
    assert!(!witness.mailboxes().iter().any(|name| name == "Made" || name == "Renamed"));
}
