//! People of `packetboat dev`, and letters between them that can be told apart.

use harness::{Server, Speaker};
use std::sync::atomic::{AtomicU32, Ordering};

/// Who has an account.
pub struct Person {
    /// Address and login.
    pub address: &'static str,
    /// Password.
    pub password: &'static str,
}

impl Person {
    /// `user:password`, as curl wants it.
    pub fn credentials(&self) -> String {
        format!("{}:{}", self.address, self.password)
    }

    /// The login as part of a URL.
    pub fn in_url(&self) -> String {
        self.address.replace('@', "%40")
    }

    /// A POP3 session of this person's, logged in, without TLS.
    pub fn maildrop(&self, server: &Server) -> Speaker {
        let mut pop3 = server.speak("pop3");
        pop3.play(&format!("S: +OK~\nC: USER {}\nS: +OK~\nC: PASS {}\nS: +OK~", self.address, self.password));
        pop3
    }

    /// How many messages lie in the maildrop.
    pub fn count(&self, server: &Server) -> usize {
        let mut pop3 = self.maildrop(server);
        pop3.play("C: STAT");
        let answer = pop3.expect("+OK ~");
        pop3.play("C: QUIT\nS: +OK~");
        answer.split(' ').nth(1).and_then(|count| count.parse().ok()).expect("a count")
    }

    /// The last message in the maildrop.
    pub fn last(&self, server: &Server) -> String {
        let count = self.count(server);
        assert!(count > 0, "{} has no mail", self.address);
        let mut pop3 = self.maildrop(server);
        pop3.play(&format!("C: RETR {count}\nS: +OK~"));
        let text = pop3.text();
        pop3.play("C: QUIT\nS: +OK~");
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// Alice of the textbook.
pub fn alice() -> Person {
    Person { address: "alice@crepes.test", password: "pickles" }
}

/// Bob of the textbook.
pub fn bob() -> Person {
    Person { address: "bob@hamburger.test", password: "hungry" }
}

/// A message that no other test sends.
pub struct Letter {
    /// Stands in its subject and in its body.
    pub token: String,
}

impl Letter {
    /// With a token of its own.
    #[allow(clippy::new_without_default, reason = "a default that differs each time would surprise")]
    pub fn new() -> Letter {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Letter { token: format!("token-{}-{count}", std::process::id()) }
    }

    /// The text, from Alice to Bob, with CRLF and with a line that begins with a dot.
    pub fn text(&self) -> String {
        let Letter { token } = self;
        format!(
            "From: Alice <{}>\r\nTo: Bob <{}>\r\nSubject: {token}\r\n\r\n{}",
            alice().address,
            bob().address,
            self.body().replace('\n', "\r\n")
        )
    }

    /// Its body, with bare line feeds, as programs read it from a file.
    pub fn body(&self) -> String {
        format!("Do you like ketchup?\n.How about pickles?\n.\n{}\n", self.token)
    }

    /// Puts it into Bob's maildrop, over a raw socket.
    pub fn deliver(&self, server: &Server) {
        let mut smtp = server.speak("smtp");
        smtp.play(&format!(
            "S: 220 ~\nC: HELO client.test\nS: 250 ~\nC: MAIL FROM:<{}>\nS: 250 ~\nC: RCPT TO:<{}>\nS: 250 ~\nC: DATA\nS: 354 ~",
            alice().address,
            bob().address
        ));
        smtp.send_text(self.text().as_bytes());
        smtp.play("S: 250 ~\nC: QUIT\nS: 221 ~");
    }

    /// `message` must be this letter, whole, whatever the line ends became on the way.
    #[track_caller]
    pub fn assert_is(&self, message: &str) {
        let message = message.replace('\r', "");
        assert!(
            message.contains(&format!("Subject: {}\n", self.token)),
            "another letter than {}:\n{message}",
            self.token
        );
        let (header, body) = message.split_once("\n\n").expect("a header and a body");
        assert!(header.contains("Received:"), "no trace of its way:\n{header}");
        assert_eq!(body.trim_end_matches('\n'), self.body().trim_end_matches('\n'), "the body was changed");
    }
}
