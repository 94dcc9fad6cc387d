"""An index that lasts: pictures or vectors of one's own, their codes, and search among them."""
