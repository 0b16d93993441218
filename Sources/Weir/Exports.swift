@_exported public import WeirCore
@_exported public import WeirNetwork
