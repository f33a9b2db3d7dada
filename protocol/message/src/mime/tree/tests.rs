//! Parts are found where they stand, one rule at a time.

use super::*;
use proptest::prelude::*;

/// The tree in short: type, lines and body of each part, `{}` around what is inside.
fn short(message: &str) -> String {
    let tree = Tree::parse(message.as_bytes());
    tree.assert_whole(message.as_bytes());
    show(message, &tree, 0)
}

fn show(message: &str, tree: &Tree, at: usize) -> String {
    let Part { content_type, content, body, lines, .. } = &tree.parts[at];
    let inside = match content {
        Content::Leaf => format!("{:?}", &message[body.clone()]),
        Content::Multipart(children) => {
            children.iter().map(|&child| show(message, tree, child)).collect::<Vec<_>>().join(" ")
        }
        Content::Message(inner) => show(message, tree, *inner),
    };
    format!("{}/{}({lines}){{{inside}}}", content_type.kind, content_type.subtype)
}

const MIXED: &str = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";

#[test]
fn a_plain_message_is_one_part() {
    assert_eq!(short("Subject: x\r\n\r\nhello\r\nworld"), "text/plain(1){\"hello\\r\\nworld\"}");
    assert_eq!(short("Do you like ketchup?\r\n"), "text/plain(1){\"Do you like ketchup?\\r\\n\"}");
    assert_eq!(short(""), "text/plain(0){\"\"}");
    assert_eq!(short("Content-Type: text/html"), "text/html(0){\"\"}");
}

#[test]
fn the_line_end_before_a_boundary_belongs_to_it() {
    // RFC 2046 §5.1.1, the simple example: the second part ends with a line end, the first does not.
    let message = format!(
        "{MIXED}preamble\r\n--b\r\n\r\nfirst, without.\r\n--b\r\nContent-type: text/plain; charset=us-ascii\r\n\r\nsecond, with.\r\n\r\n--b--\r\nepilogue\r\n"
    );
    assert_eq!(
        short(&message),
        "multipart/mixed(11){text/plain(0){\"first, without.\"} text/plain(1){\"second, with.\\r\\n\"}}"
    );
}

#[test]
fn only_a_whole_line_is_a_boundary() {
    let body = "--bx\r\n --b\r\nx--b\r\n--b-\r\n--b--x\r\n--B\r\n--\r\n";
    assert_eq!(
        short(&format!("{MIXED}--b \t\r\n\r\n{body}--b-- \r\n--b\r\n\r\nno part\r\n")),
        format!("multipart/mixed(13){{text/plain(6){{{:?}}}}}", body.trim_end())
    );
}

#[test]
fn a_part_may_lack_everything() {
    assert_eq!(
        short(&format!("{MIXED}--b\r\n--b\r\n\r\n--b\r\n\r\n\r\n--b\r\nA: b\r\n--b\r\nno header\r\n--b--")),
        "multipart/mixed(10){text/plain(0){\"\"} text/plain(0){\"\"} text/plain(0){\"\"} text/plain(0){\"\"} text/plain(0){\"no header\"}}"
    );
    assert_eq!(short(MIXED), "multipart/mixed(0){}");
    assert_eq!(short("Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\nx"), "multipart/mixed(2){}");
    assert_eq!(
        short(&format!("{MIXED}--b\r\n\r\nnever closed\r\n")),
        "multipart/mixed(3){text/plain(1){\"never closed\\r\\n\"}}"
    );
}

#[test]
fn an_outer_boundary_ends_what_is_inside() {
    let inner = "--b\r\nContent-Type: multipart/alternative; boundary=\"i\"\r\n\r\n--i\r\n\r\nx\r\n";
    assert_eq!(
        short(&format!("{MIXED}{inner}--b\r\n\r\ny\r\n--b--\r\n")),
        "multipart/mixed(10){multipart/alternative(2){text/plain(0){\"x\"}} text/plain(0){\"y\"}}"
    );
    assert_eq!(
        short(&format!("{MIXED}{inner}--i--\r\n--b--\r\n")),
        "multipart/mixed(8){multipart/alternative(3){text/plain(0){\"x\"}}}"
    );
}

#[test]
fn a_quoted_message_with_the_same_boundary_stays_whole() {
    let quoted = format!("{MIXED}--b\r\n\r\nin\r\n--b--\r\n");
    assert_eq!(
        short(&format!("{MIXED}--b\r\nContent-Type: message/rfc822\r\n\r\n{quoted}--b\r\n\r\nout\r\n--b--\r\n")),
        "multipart/mixed(13){message/rfc822(5){multipart/mixed(3){text/plain(0){\"in\"}}} text/plain(0){\"out\"}}"
    );
}

#[test]
fn a_digest_is_of_messages() {
    let digest = "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: 1\r\n\r\none\r\n--b\r\nContent-Type: text/plain\r\n\r\ntwo\r\n--b\r\nno header\r\n--b--";
    assert_eq!(
        short(digest),
        "multipart/digest(11){message/rfc822(2){text/plain(0){\"one\"}} text/plain(0){\"two\"} message/rfc822(0){text/plain(0){\"no header\"}}}"
    );
}

#[test]
fn an_encoded_message_is_a_leaf() {
    assert_eq!(
        short("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQTogYg=="),
        "message/rfc822(0){\"QTogYg==\"}"
    );
}

#[test]
fn part_numbers_are_those_of_imap() {
    // RFC 9051 §6.4.5.1, the example.
    let message = format!(
        "{MIXED}--b\r\n\r\n1\r\n--b\r\nContent-Type: application/octet-stream\r\n\r\n2\r\n\
         --b\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n3.1\r\n--c\r\n\r\n3.2\r\n--c--\r\n\
         --b\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n--d\r\nContent-Type: image/gif\r\n\r\n4.1\r\n\
         --d\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=e\r\n\r\n--e\r\n\r\n4.2.1\r\n\
         --e\r\nContent-Type: multipart/alternative; boundary=f\r\n\r\n--f\r\n\r\n4.2.2.1\r\n--f\r\nContent-Type: text/richtext\r\n\r\n4.2.2.2\r\n--f--\r\n--e--\r\n--d--\r\n--b--\r\n"
    );
    let tree = Tree::parse(message.as_bytes());
    tree.assert_whole(message.as_bytes());
    for number in ["1", "2", "3.1", "3.2", "4.1", "4.2.1", "4.2.2.1", "4.2.2.2"] {
        let path: Vec<u32> = number.split('.').map(|number| number.parse().expect("a number")).collect();
        let part = &tree.parts[tree.section(&path).unwrap_or_else(|| panic!("no part {number}"))];
        assert_eq!(&message[part.body.clone()], number);
    }
    assert!(tree.parts[tree.section(&[3]).expect("a part")].content_type.is("message", "rfc822"));
    assert_eq!(
        (tree.section(&[]), tree.section(&[0]), tree.section(&[5]), tree.section(&[1, 1]), tree.section(&[3, 1, 1])),
        (Some(0), None, None, None, None)
    );
    let plain = Tree::parse(b"A: b\r\n\r\nx");
    assert_eq!((plain.section(&[1]), plain.section(&[2]), plain.section(&[1, 1])), (Some(0), None, None));
    let forward = Tree::parse(b"Content-Type: message/rfc822\r\n\r\nA: b\r\n\r\nx");
    assert_eq!(
        (forward.section(&[1]), forward.section(&[1, 1]), forward.section(&[1, 1, 1])),
        (Some(0), Some(1), None)
    );
}

#[test]
fn what_a_part_says_about_itself_is_read() {
    let message = b"Content-Type: application/pdf; name=old.pdf\r\ncontent-transfer-encoding: BASE64\r\nContent-Disposition: attachment;\r\n filename*=utf-8''%C3%A9.pdf\r\nContent-Type: text/html\r\n\r\nSGk=";
    let tree = Tree::parse(message);
    let root = tree.root();
    assert!(root.content_type.is("application", "pdf") && root.is_declared && root.is_attachment());
    assert_eq!((root.encoding.clone(), root.file_name().as_deref()), (Encoding::Base64, Some("\u{e9}.pdf")));
    assert_eq!(root.decoded(message), b"Hi");
    assert_eq!(
        root.field(message, "content-disposition").map(|field| field.unfolded().into_owned()).as_deref(),
        Some(&b"attachment; filename*=utf-8''%C3%A9.pdf"[..])
    );
}

#[test]
fn limits_hold() {
    let parts = format!("{MIXED}{}", "--b\r\n\r\n".repeat(PARTS_MAX + 10));
    let tree = Tree::parse(parts.as_bytes());
    tree.assert_whole(parts.as_bytes());
    assert_eq!((tree.parts.len(), tree.is_cut), (PARTS_MAX, true));
    let deep = "Content-Type: message/rfc822\r\n\r\n".repeat(DEPTH_MAX + 10);
    let tree = Tree::parse(deep.as_bytes());
    tree.assert_whole(deep.as_bytes());
    assert_eq!((tree.parts.len(), tree.is_cut), (DEPTH_MAX, true));
}

#[test]
fn a_line_that_is_too_long_to_be_kept_is_no_boundary_and_its_end_is_seen() {
    let long = "-".repeat(HEADER_KEPT_MAX + 5);
    for (end, lines) in [("\r\n", 1), ("\n", 1), ("", 0)] {
        let message = format!("{MIXED}--b\r\n\r\n{long}{end}{}", if lines == 1 { "\r\n--b--" } else { "" });
        let mut scan = Scan::new(());
        message.as_bytes().chunks(1000).for_each(|piece| scan.feed(piece));
        let (tree, ()) = scan.finish();
        assert_eq!(tree, Tree::parse(message.as_bytes()));
        assert_eq!((&message[tree.parts[1].body.clone()], tree.parts[1].lines), (&*format!("{long}{end}"), lines));
    }
}

fn messages() -> impl Strategy<Value = Vec<u8>> {
    let piece = proptest::sample::select(vec![
        "--b",
        "--b--",
        "--c",
        "--c--",
        "\r\n",
        "\r\n",
        "\n",
        "x",
        " ",
        "A: b\r\n",
        "From x\r\n",
        "Content-Type: multipart/mixed; boundary=b\r\n",
        "Content-Type: multipart/digest; boundary=c\r\n",
        "Content-Type: message/rfc822\r\n",
        "\r\n--b\r\n",
        "\r\n\r\n",
    ]);
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn spans_nest_and_lines_count(message in messages()) {
        Tree::parse(&message).assert_whole(&message);
    }

    #[test]
    fn pieces_do_not_matter(message in messages(), size in 1usize..9) {
        let mut scan = Scan::new(());
        message.chunks(size).for_each(|piece| scan.feed(piece));
        prop_assert_eq!(scan.finish().0, Tree::parse(&message));
    }

    #[test]
    fn headers_end_where_the_fields_do(message in messages()) {
        prop_assert_eq!(Tree::parse(&message).root().header.end, crate::header::section_len(&message));
    }
}
