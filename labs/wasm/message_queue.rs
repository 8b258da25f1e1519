labs::export!(labs::figures::message_queue);
