labs::export!(labs::figures::spof);
