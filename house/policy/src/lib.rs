//! Our own judgement: relay? too fast? too often? Facts in, verdict out
