labs::export!(labs::figures::compiler_phases);
