//! Sockets, TLS, timers, DNS, and the one driver loop over every dialogue
