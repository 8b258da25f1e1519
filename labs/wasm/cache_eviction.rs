labs::export!(labs::figures::cache_eviction);
