import WeirJSON
