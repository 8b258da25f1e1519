labs::export!(labs::figures::cap);
