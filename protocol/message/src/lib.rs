//! RFC 5322 messages: read, write, addresses, dates, delivery reports
