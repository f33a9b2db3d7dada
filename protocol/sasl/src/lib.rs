//! SASL mechanisms, both sides
