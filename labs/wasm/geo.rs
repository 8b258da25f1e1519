labs::export!(labs::figures::geo);
