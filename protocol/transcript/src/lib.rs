//! Replays plain-text dialogues against the pure protocol cores
