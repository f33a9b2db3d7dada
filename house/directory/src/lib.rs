//! Domains, accounts, aliases and secrets: who is who, who may what
