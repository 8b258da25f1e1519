labs::export!(labs::figures::queue);
