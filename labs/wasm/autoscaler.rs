labs::export!(labs::figures::autoscaler);
