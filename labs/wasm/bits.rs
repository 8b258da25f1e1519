labs::export!(labs::figures::bits);
