//! Files that grow, through rotation, restarts and kills: lines are counted, none lost, none raw, and none twice unless a
//! process was killed.

mod checkpoints;
mod containers;
mod descriptors;
mod growth;
mod keys;
mod kill;
mod lines;
mod many;
mod restart;
mod rotation;
mod stage;
