//! A tree that is moved: hard names, an empty file, an empty directory.

use std::fs;
use std::path::Path;

/// Its files, all with the same content. What programs and file systems get wrong: blanks, letters of others, signs of shells and
/// patterns.
pub const NAMES: [&str; 4] = ["one", "a/two  words", "a/b/dr\u{fc}ben \u{2603}", "a/b/[x] & 'y' #1.txt"];

/// Makes it.
pub fn make(top: &Path, content: &[u8]) {
    fs::create_dir_all(top.join("a/b/empty")).expect("directories");
    for name in NAMES {
        fs::write(top.join(name), content).expect("a file");
    }
    fs::write(top.join("a/nothing"), b"").expect("a file");
}

/// It came over whole.
#[track_caller]
pub fn assert_is(top: &Path, content: &[u8]) {
    for name in NAMES {
        let octets = fs::read(top.join(name)).expect(name);
        assert!(octets == content, "{name} in {} is not what was sent, but {} octets", top.display(), octets.len());
    }
    assert_eq!(fs::read(top.join("a/nothing")).expect("the empty file"), b"");
    assert!(top.join("a/b/empty").is_dir(), "the empty directory");
}
