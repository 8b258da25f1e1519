labs::export!(labs::labs::cache_eviction);
