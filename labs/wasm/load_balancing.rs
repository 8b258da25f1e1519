labs::export!(labs::figures::load_balancing);
