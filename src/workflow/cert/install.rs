//! Gives the server or an engine another pair, and goes back.
