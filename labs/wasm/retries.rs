labs::export!(labs::figures::retries);
