labs::export!(labs::figures::merge_counter);
