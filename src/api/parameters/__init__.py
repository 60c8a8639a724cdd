"""What is known of terminals' parameters (终端参数), for whoever sets or reads them."""
