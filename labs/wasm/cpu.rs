labs::export!(labs::figures::cpu);
