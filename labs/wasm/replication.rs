labs::export!(labs::figures::replication);
