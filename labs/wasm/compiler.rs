labs::export!(labs::figures::compiler);
