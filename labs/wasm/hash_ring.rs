labs::export!(labs::figures::hash_ring);
