"""What people say a digit really is: kept, reviewed, and given to the inbox of retraining."""
