//! Listeners, desks and the courier: where dialogues meet the house
