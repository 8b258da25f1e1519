labs::export!(labs::figures::isolation);
