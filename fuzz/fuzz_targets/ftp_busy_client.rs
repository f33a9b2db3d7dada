//! Feeds `ftp_busy_client`; the target itself stands in `tests/fuzz`, where ordinary tests run it, too.
#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz_twin::run("ftp_busy_client", input));
