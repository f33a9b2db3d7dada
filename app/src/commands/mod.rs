//! What each command does.

pub mod app_password;
pub mod archive;
pub mod ask;
pub mod ban;
pub mod config;
pub mod dev;
pub mod directory;
pub mod files;
pub mod ftp;
pub mod hook;
pub mod init;
pub mod pages;
pub mod queue;
pub mod serve;
pub mod sessions;
pub mod store;
